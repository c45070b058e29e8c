/* Whether this processor has what the kernels were compiled for: asked before one of them runs. */
#include "internal.h"

#include <string.h>

static const char *const needs[] = {EDGEBERT_NEEDS NULL};

#if defined(__x86_64__)
#include <cpuid.h>

static const struct {
    const char *name;
    unsigned leaf, subleaf, word, bit; /* word: 0 to 3 for eax, ebx, ecx, edx */
} known[] = {
    {"sse4.2", 1, 0, 2, 20},   {"popcnt", 1, 0, 2, 23},    {"fma", 1, 0, 2, 12},      {"avx", 1, 0, 2, 28},
    {"avx2", 7, 0, 1, 5},      {"bmi2", 7, 0, 1, 8},       {"avx512f", 7, 0, 1, 16},  {"avx512dq", 7, 0, 1, 17},
    {"avx512cd", 7, 0, 1, 28}, {"avx512bw", 7, 0, 1, 30},  {"avx512vl", 7, 0, 1, 31}, {"avx512vnni", 7, 0, 2, 11},
    {"avxvnni", 7, 1, 0, 4},
};

/* What the operating system saves: bit 2 for the registers of AVX, bits 5 to 7 for those of AVX-512. */
static unsigned saved_registers(void) {
    unsigned words[4], low, high;
    if (!__get_cpuid_count(1, 0, &words[0], &words[1], &words[2], &words[3]) || !(words[2] & (1u << 27)))
        return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool has(const char *name) {
    unsigned wanted = !strncmp(name, "avx512", 6) ? 0xe6 : !strncmp(name, "avx", 3) || !strcmp(name, "fma") ? 6 : 0;
    if ((saved_registers() & wanted) != wanted)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        unsigned words[4];
        if (!strcmp(name, known[i].name))
            return __get_cpuid_count(known[i].leaf, known[i].subleaf, &words[0], &words[1], &words[2], &words[3]) &&
                   words[known[i].word] >> known[i].bit & 1;
    }
    return false;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

static const struct {
    const char *name;
    unsigned long word, bit; /* of Linux's hardware capabilities */
} known[] = {
    {"neon", AT_HWCAP, 1}, {"lse", AT_HWCAP, 8}, {"dotprod", AT_HWCAP, 20}, {"i8mm", AT_HWCAP2, 13},
};

static bool has(const char *name) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name))
            return getauxval(known[i].word) >> known[i].bit & 1;
    return false;
}
#else
#error "edgebert is exported for x86-64 and AArch64"
#endif

edgebert_status edgebert_check_processor(void) {
    for (size_t i = 0; needs[i]; i++)
        if (!has(needs[i]))
            return edgebert_fail(EDGEBERT_PROCESSOR,
                                 "this processor lacks %s, which the kernels for %s need; export for another target",
                                 needs[i], EDGEBERT_FAMILY);
    return EDGEBERT_OK;
}
