"""What takes the place of personal data: its label, or a value that looks like it and belongs to nobody."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import re
import string
from collections.abc import Callable, Iterator
from typing import NamedTuple

from edgebert.redact.patterns import iban_remainder, luhn_digit
from edgebert.redact.repeats import PERSON_LABELS, pieces

__all__ = ["StandIns", "label_in_brackets"]


def _listed(names: str) -> list[str]:
    return names.split()


_GIVEN = _listed(
    "Robin Alex Kim Sascha Noor Jules Toni Remy Charlie Sam Ariel Jamie Quinn Rowan Taylor Morgan Casey Devon Ellis"
    " Finley Harper Indigo Jordan Kerry Lane Marlow Nikita Oakley Parker Reese Sage Tatum Winter Yuki Zuri Blake"
)
_FAMILY = _listed(
    "Ashdown Birkwood Calloway Dunmore Eastlake Fairholm Greenway Hazelton Inglewood Juniper Kestrel Larkspur Marwick"
    " Northam Oakhurst Pennington Quarry Ravenhill Stonefield Thornbury Underhill Vale Westerby Yarrow Zimmer Alderton"
    " Brookshire Coldwell Dellwood Elmstead Foxley Glenn Hartwell Ivybridge"
)
_STREETS = [f"{name} {kind}" for kind in ("Lane", "Road", "Way") for name in _listed("Juniper Mill Larch Heron Quarry")]
_CITIES = _listed(
    "Arlenford Brambury Corvale Dunhollow Elmsworth Farrowby Glenmere Harrowgate Isenbrook Kettlewick Larchmere Merrow"
)
_STATES = _listed("Northmark Eastmark Southmark Westmark Midland Highland Lowland Lakeland")
_GIVEN_LABELS = frozenset({"GIVEN_NAME", "FIRST_NAME", "MIDDLE_NAME"})
_LISTS = {
    **dict.fromkeys(PERSON_LABELS, _GIVEN),
    **dict.fromkeys(("SURNAME", "LAST_NAME"), _FAMILY),
    **dict.fromkeys(("STREET_NAME", "STREET"), _STREETS),
    **dict.fromkeys(("CITY", "LOC", "LOCATION", "GPE"), _CITIES),
    "STATE": _STATES,
}
"""Label -> names to choose from."""

_NUMBERS = frozenset(
    {"TAX_ID", "BANK_ACCOUNT", "ROUTING_NUMBER", "GOVERNMENT_ID", "PASSPORT", "DRIVERS_LICENSE"}
    | {"BUILDING_NUMBER", "SECONDARY_ADDRESS", "ZIP_CODE", "ID_NUM", "ACCOUNT_NUMBER", "SSN"}
)
"""Labels whose stand-in has the shape of what it stands for: digits for digits, letters for letters."""

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
_ENDINGS = [syllable + end for syllable in _SYLLABLES for end in ("", *"lnrst")]
_SPELLED = len(_SYLLABLES) ** 2 * len(_ENDINGS)
"""How many names can be spelled: two million, so that of a hundred values hardly two have the same by chance."""
_MOST_OFFERS = 100
"""Stand-ins to try until one is neither the value itself nor in the texts: more than a list has."""
_NAMED_IBAN = re.compile(r"iban\W*", re.IGNORECASE)
_LEAST_NOBODY = 9
"""Digits from which on a number begins with three zeros, as no social security number does."""


class _Draw(NamedTuple):
    """What a stand-in is made of.

    Attributes
    ----------
    number : int
        Which one of its label this is, from 0; with a key, a number that only the key and the value decide.
    seed : bytes
        What digits are drawn from.
    """

    number: int
    seed: bytes

    def digits(self, count: int) -> list[int]:
        """Return numbers below 256, always the same."""
        stream = hashlib.shake_256(self.seed).digest(count)
        return list(stream)


def label_in_brackets(word: str, label: str) -> str:  # noqa: ARG001 (as a stand-in)
    """Return ``[LABEL]``."""
    return f"[{label}]"


class StandIns:
    """Gives the same stand-in to the same value; without a key, different ones to different values.

    Parameters
    ----------
    key : bytes or None
        Decides, together with a value, what stands for it: the same in every run with that key, and not to be
        guessed without it. So two values may have one stand-in: of ninety house numbers many do, of names hardly any.
        None counts values in the order in which they appear, which tells nothing about them.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key
        self._given: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._words: set[str] = set()
        self._taken: set[str] = set()

    def avoid(self, text: str) -> None:
        """Take no name for a stand-in that a text has, before any is given."""
        if self._key is None:
            self._words.update(word.casefold() for word in pieces(text))

    def __call__(self, word: str, label: str) -> str:
        """Return what stands for a value, in its case; what it looks like is decided by the label it has first."""
        named = _NAMED_IBAN.match(word) if label == "IBAN" else None
        if named:  # a model marks the word before the number, too
            return named[0] + self._of(word[named.end() :], label)
        parts = re.split(r"([\s-]+|(?<=\w)['\u2019][sS]\b)", word)
        if label not in PERSON_LABELS or len(parts) == 1:
            return self._of(word, label)
        # Every part of a name by itself, so that the last one alone has the same stand-in.
        labels = [label] * (len(parts) - 1) + [label if label in _GIVEN_LABELS else "SURNAME"]
        return "".join(
            self._of(part, each) if i % 2 == 0 and any(map(str.isalnum, part)) else part
            for i, (part, each) in enumerate(zip(parts, labels, strict=True))
        )

    def _of(self, word: str, label: str) -> str:
        value = _folded(word)
        known = self._given.get(value)
        if known is None:
            known = next(made for made in self._offers(word, value, label) if self._is_free(made, value))
            self._given[value] = known
            if self._key is None:
                self._taken.add(_folded(known))
        return _in_case_of(word, known) if label in _LISTS else known

    def _offers(self, word: str, value: str, label: str) -> Iterator[str]:
        """Yield stand-ins without end: first such as the value, at last the label with a number."""
        attempts = itertools.count()
        make = _maker(label)
        if make:
            shapes = [word]
            if label in _NUMBERS:  # where all of a shape are taken, with a digit more
                shapes += [re.sub(r"\d", rf"\g<0>{more}", word, count=1) for more in ("0", "00")]
            for shape in shapes:
                for attempt in itertools.islice(attempts, _MOST_OFFERS):  # a number without digits has only itself
                    yield make(shape, self._draw(label, value, attempt))
        for attempt in attempts:
            number = self._draw(f"{label}-", value, attempt).number
            yield f"{label}-{number + 1 if self._key is None else _spelled(number)}"

    def _is_free(self, made: str, value: str) -> bool:
        folded = _folded(made)
        return folded != value and folded not in self._taken and made.casefold() not in self._words

    def _draw(self, label: str, value: str, attempt: int) -> _Draw:
        if self._key is not None:
            seed = hmac.digest(self._key, f"{attempt}\0{value}".encode(), "sha256")
            return _Draw(int.from_bytes(seed[:8], "big") % _SPELLED + _BEYOND_LISTS, seed)
        names = _LISTS.get(label, [])
        number = self._count(names[0] if names else label)  # labels that have one list count together
        if names and number >= len(names):
            number = _BEYOND_LISTS + self._count("spelled")
        return _Draw(number, f"{label} {number}".encode())

    def _count(self, kind: str) -> int:
        number = self._counts.get(kind, 0)
        self._counts[kind] = number + 1
        return number


def _folded(word: str) -> str:
    """Return what of a value has to be the same for another to be the same value."""
    return "".join(pieces(word)).casefold()


_BEYOND_LISTS = max(map(len, _LISTS.values()))


def _name(number: int, names: list[str]) -> str:
    """Return a name from a list, and beyond its end one that is spelled."""
    return names[number] if number < len(names) else _spelled(number).capitalize()


def _spelled(number: int) -> str:
    """Return three syllables for a number."""
    number, end = divmod(number, len(_ENDINGS))
    first, second = divmod(number, len(_SYLLABLES))
    return _SYLLABLES[first % len(_SYLLABLES)] + _SYLLABLES[second] + _ENDINGS[end]


def _in_case_of(word: str, name: str) -> str:
    letters = [character for character in word if character.isalpha()]
    if len(letters) > 1 and word.isupper():
        return name.upper()
    return name.lower() if word.islower() else name


def _same_shape(word: str, draw: _Draw) -> str:
    """Return a value with digits for digits and letters for letters; words without digits (Apt, Suite) stay."""
    drawn = iter(draw.digits(len(word)))
    zeros = 3 if sum(character.isdecimal() for character in word) >= _LEAST_NOBODY else 0
    made: list[str] = []
    for part in re.findall(r"[^\W_]+|[\W_]+", word):
        keep = not any(character.isdecimal() for character in part) and len(part) > 2
        for character in part:
            if character.isdecimal():
                digit = next(drawn) % 10
                # The first digit of a short number is no zero: a house has none.
                made.append("0" if zeros > 0 else str(digit or 7) if not made else str(digit))
                zeros -= 1
            elif character.isalpha() and not keep:
                letter = string.ascii_uppercase[next(drawn) % 26]
                made.append(letter.lower() if character.islower() else letter)
            else:
                made.append(character)
    return "".join(made)


def _refill(word: str, digits: str) -> str:
    """Put digits in the places of a value's digits, the last of them."""
    left = iter(digits)
    return re.sub(r"\d", lambda _: next(left), word)


def _phone(word: str, draw: _Draw) -> str:
    """Return a phone number of the same shape that ends in 555 01xx, which is nobody's; the country stays."""
    country = re.match(r"\+?1(?=[ .\-(])|\+\d{1,3}(?=\D)|\+\d\d", word)
    kept = re.sub(r"\D", "", country[0]) if country else ""
    extension = re.search(r"[ ,]*(?:x|ext\.?|extension).*$", word, re.IGNORECASE)
    body, tail = (word[: extension.start()], extension[0]) if extension else (word, "")
    count = sum(character.isdecimal() for character in body) - len(kept)
    area, line = divmod(draw.number, 100)
    digits = f"{201 + area % 799:0{max(count - 7, 0)}}55501{line:02}"[-count:] if count else ""
    return _refill(body, kept + digits) + re.sub(r"\d", "0", tail)


def _email(word: str, draw: _Draw) -> str:  # noqa: ARG001 (as every maker)
    return f"{_name(draw.number, _GIVEN).lower()}@example.com"


def _url(word: str, draw: _Draw) -> str:
    scheme = re.match(r"\w+://", word)
    return f"{scheme[0] if scheme else ''}example.com/{_name(draw.number, _GIVEN).lower()}"


def _iban(word: str, draw: _Draw) -> str:
    """Return an account number of the same country and shape, its bank's number four zeros, with right check digits."""
    solid = re.sub(r"\s", "", word).upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]+", solid):
        return _same_shape(word, draw)
    drawn = iter(draw.digits(len(word)))
    account = "".join(
        ("0" if i < 4 else str(next(drawn) % 10)) if each.isdecimal() else string.ascii_uppercase[next(drawn) % 26]
        for i, each in enumerate(solid[4:])
    )
    number = f"{solid[:2]}{98 - iban_remainder(f'{solid[:2]}00{account}'):02}{account}"
    left = iter(number)
    return "".join(each if each.isspace() else next(left) for each in word)


def _card(word: str, draw: _Draw) -> str:
    """Return a card number of the same shape that begins with 0, as no bank's does, with a right check digit."""
    count = sum(character.isdecimal() for character in word)
    if count < 2:
        return _same_shape(word, draw)
    digits = "0" + "".join(str(value % 10) for value in draw.digits(count - 2))
    return _refill(word, digits + luhn_digit(digits))


def _address(word: str, draw: _Draw) -> str:
    """Return an address that is kept for examples (RFC 5737, RFC 3849)."""
    if ":" in word:
        return f"2001:db8::{draw.number % 0xFFFF + 1:x}"
    block, host = divmod(draw.number % (3 * 254), 254)
    return f"{('192.0.2', '198.51.100', '203.0.113')[block]}.{host + 1}"


_MAKERS: dict[str, Callable[[str, _Draw], str]] = {
    "PHONE": _phone,
    "PHONE_NUMBER": _phone,
    "EMAIL": _email,
    "URL": _url,
    "IBAN": _iban,
    "CREDIT_CARD": _card,
    "IP_ADDRESS": _address,
}
"""Label -> what makes its stand-in."""


def _maker(label: str) -> Callable[[str, _Draw], str] | None:
    """Return what makes a stand-in of a value's shape; None where the label alone stands for it."""
    if label in _LISTS:
        return lambda _, draw: _name(draw.number, _LISTS[label])
    return _same_shape if label in _NUMBERS else _MAKERS.get(label)
