"""Personal data that has a form: addresses of e-mail, phone and bank numbers, found by rules and checked."""

from __future__ import annotations

import ipaddress
import re
import string
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["PATTERN_LABELS", "Match", "find_patterns", "iban_remainder", "luhn_digit"]


class Match(NamedTuple):
    """Characters ``start`` to ``end`` of a text, and what they are."""

    start: int
    end: int
    label: str


# No expression may begin within what it could have begun before: then a long text takes time that grows with its
# length, not with its square.
# Letters may stand right beside a number: 123-45-6789SMITH, as tables and forms come out of documents.
# Accents may stand behind their letters, as file names of macOS have them.
_LETTERS = r"\w\u0300-\u036f"
_EMAIL = re.compile(
    rf"(?<![{_LETTERS}.%+-])[{_LETTERS}.%+-]+(?:['\u2019][{_LETTERS}.%+-]+){{0,3}}"
    rf"@(?:[{_LETTERS}-]{{1,63}}\.)+[^\W\d_][{_LETTERS}-]{{1,62}}"
)
_URL = re.compile(r"(?:https?://|(?<![\w.])www\.)[^\s<>\"'()\[\]{}]+", re.IGNORECASE)
_USER_IN_URL = re.compile(
    r"//[^/\s@]+@"  # https://alice:secret@host
    r"|/[~@]\w"
    r"|/(?:in|u|users?|profiles?|people|members?)/[\w.%-]+"
    r"|(?://|\.|^)(?:facebook|instagram|twitter|x|github|gitlab|tiktok|threads)\.(?:com|net)/\w"
    r"|(?://|\.|^)(?:t|wa)\.me/\w",
    re.IGNORECASE,
)
_EXTENSION = r"(?:,?[ \u00a0]?(?:x|ext\.?|extension)[ \u00a0]?\d{1,5})?"
_PHONES = (
    # +44 20 7946 0958, 0049 30 123456
    re.compile(r"(?<![\w+])(?<!\d[ \u00a0.\-])(?:\+|00(?=[1-9]))\d(?:[ \u00a0.\-/()]{0,3}\d){6,14}(?!\d)" + _EXTENSION),
    # (415) 555-0132, 1-415-555-0132
    re.compile(
        r"(?<![\d.\-])(?:\+?1[ .\-])?(?:\([2-9]\d\d\)[ \u00a0]?|[2-9]\d\d[ \u00a0.\-])"
        r"[2-9]\d\d[ \u00a0.\-]\d{4}(?![\d\-])" + _EXTENSION
    ),
)
_SOCIAL_SECURITY = re.compile(r"(?<![\d\-])(?!000|666|9)\d{3}([ \-])(?!00)\d\d\1(?!0000)\d{4}(?![\d\-])")
_IBAN = re.compile(
    r"(?<!\w)[A-Z]{2}\d\d(?:[A-Z\d]{11,30}|(?:[ \u00a0][A-Z\d]{4}){2,7}(?:[ \u00a0][A-Z\d]{1,3})?)(?!\d)",
    re.IGNORECASE | re.ASCII,  # of other letters, such as the Kelvin sign, no remainder is defined
)
_IBAN_LENGTHS = range(15, 35)
_CARD = re.compile(r"(?<!\d)\d{1,19}(?:([ \u00a0\-])\d{2,7}(?:\1\d{2,7}){0,7})?(?!\d)")
_CARD_LENGTHS = range(13, 20)
_CARD_BEGINS = "23456"
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[\da-f]*:[\da-f]*:)(?=[a-f:]*\d)[\da-f:]{3,39}(?:(?:\.\d{1,3}){3})?(?![\w:])",
    re.IGNORECASE,
)


def find_patterns(text: str) -> list[Match]:
    """Find what has the form of personal data, and passes the check that its kind has.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of Match
        By kind; matches of two kinds may overlap.
    """
    return [Match(start, end, label) for label, find in _FINDERS for start, end in find(text)]


def _emails(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _EMAIL.finditer(text)) if "@" in text else iter(())


def _urls(text: str) -> Iterator[tuple[int, int]]:
    """Find the addresses of pages that name a person: a user before the host, or a profile behind it."""
    for match in _URL.finditer(text):
        address = match[0].rstrip(".,;:!?*_")
        if _USER_IN_URL.search(address):
            yield match.start(), match.start() + len(address)


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for form in _PHONES:
        yield from (match.span() for match in form.finditer(text))


def _social_security(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _SOCIAL_SECURITY.finditer(text))


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """Find account numbers whose check digits are right; the expression may have read words behind one, too."""
    for match in _IBAN.finditer(text):
        ends = {space.start() for space in re.finditer(r"[ \u00a0]", match[0])}
        ends |= {len(match[0]), len(match[0].rstrip(string.ascii_letters))}
        for end in sorted(ends, reverse=True):
            number = re.sub(r"\s", "", match[0][:end])
            if len(number) in _IBAN_LENGTHS and iban_remainder(number) == 1:
                yield match.start(), match.start() + end
                break


def iban_remainder(number: str) -> int:
    """Return the remainder of an IBAN by 97, letters read as 10 to 35; it is 1 where the check digits are right."""
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97


def _cards(text: str) -> Iterator[tuple[int, int]]:
    """Find card numbers whose check digit is right, among groups of digits; other numbers may stand beside them."""
    for match in _CARD.finditer(text):
        groups = [(group.start(), group.end()) for group in re.finditer(r"\d+", match[0])]
        first = 0
        while first < len(groups):
            for last in range(len(groups), first, -1):
                start, end = groups[first][0], groups[last - 1][1]
                digits = re.sub(r"\D", "", match[0][start:end])
                if len(digits) in _CARD_LENGTHS and digits[0] in _CARD_BEGINS and luhn_digit(digits[:-1]) == digits[-1]:
                    yield match.start() + start, match.start() + end
                    first = last
                    break
            else:
                first += 1


def luhn_digit(digits: str) -> str:
    """Return the check digit that belongs behind the digits of a card number."""
    doubled = (int(digit) * (2 if i % 2 == 0 else 1) for i, digit in enumerate(reversed(digits)))
    return str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    """Find addresses of computers, but for those that mean the computer itself, or any."""
    for form in (_IPV4, _IPV6):
        for match in form.finditer(text):
            try:
                address = ipaddress.ip_address(match[0])
            except ValueError:
                continue
            if not (address.is_loopback or address.is_unspecified):
                yield match.span()


_FINDERS: tuple[tuple[str, Callable[[str], Iterator[tuple[int, int]]]], ...] = (
    ("EMAIL", _emails),
    ("URL", _urls),
    ("IBAN", _ibans),
    ("CREDIT_CARD", _cards),
    ("TAX_ID", _social_security),
    ("PHONE", _phones),
    ("IP_ADDRESS", _addresses),
)
PATTERN_LABELS = tuple(label for label, _ in _FINDERS)
"""What the rules find; of two that overlap, the earlier one says what it is."""
