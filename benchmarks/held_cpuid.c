/* Answers `cpuid` for libraries in which benchmarks/hold.py has put `ud2` in its place, without the features that
 * HELD_TO names: a processor of another kind, as far as an engine can see.
 *
 *     cc -shared -fPIC -O1 -o held_cpuid.so held_cpuid.c
 *     HELD_TO=avx512bw LD_PRELOAD=held_cpuid.so python ...
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define BIT(n) (1u << (n))

/* Leaf 7.0: what is not in AVX-512F, BW, CD, DQ and VL. */
static const unsigned beyond_avx512bw_ebx = BIT(21);                              /* IFMA */
static const unsigned beyond_avx512bw_ecx = BIT(1) | BIT(6) | BIT(8) | BIT(9)     /* VBMI, VBMI2, GFNI, VAES */
    | BIT(10) | BIT(11) | BIT(12) | BIT(14);                  /* VPCLMULQDQ, AVX512-VNNI, BITALG, VPOPCNTDQ */
static const unsigned beyond_avx512bw_edx = BIT(2) | BIT(3) | BIT(8)              /* 4VNNIW, 4FMAPS, VP2INTERSECT */
    | BIT(22) | BIT(23) | BIT(24) | BIT(25);                  /* AMX-BF16, AVX512-FP16, AMX-TILE, AMX-INT8 */
static const unsigned avx512_ebx = BIT(16) | BIT(17) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31);

static int no_avx512;

static void answer(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *instruction = (const unsigned char *)registers[REG_RIP];
    unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX];
    unsigned a, b, c, d;
    (void)info;
    /* A real illegal instruction: die of it. A compiler's own ud2, for what must not happen, cannot be told apart and
     * would go on with wrong registers: an engine that gets there crashes later instead. */
    if (instruction[0] != 0x0f || instruction[1] != 0x0b) {
        signal(number, SIG_DFL);
        return;
    }
    __cpuid_count(leaf, subleaf, a, b, c, d);
    if (leaf == 7 && subleaf == 0) {
        b &= ~(beyond_avx512bw_ebx | (no_avx512 ? avx512_ebx : 0));
        c &= ~beyond_avx512bw_ecx;
        d &= ~beyond_avx512bw_edx;
    } else if (leaf == 7 && subleaf == 1) { /* AVX-VNNI, BF16, AVX10 and all that came after AVX-512BW */
        a = b = c = d = 0;
    } else if (leaf == 0x1d || leaf == 0x1e || leaf == 0x24) { /* AMX, AVX10 */
        a = b = c = d = 0;
    } else if (leaf == 0xd && subleaf == 0) { /* states that the operating system keeps */
        a &= ~(BIT(17) | BIT(18) | (no_avx512 ? BIT(5) | BIT(6) | BIT(7) : 0));
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void hold(void)
{
    const char *family = getenv("HELD_TO");
    struct sigaction action;
    if (!family)
        return;
    no_avx512 = strcmp(family, "avx512bw") != 0;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGILL, &action, NULL);
}
