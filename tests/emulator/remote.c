/* Run the functions of a kernel library for another process, on that process's memory.
 *
 * This program is linked with the kernels of another kind of processor and run by an emulator. It reads calls from
 * stdin (the number of a function, then ARGUMENTS integers, of which addresses are the other process's),
 * and answers each on stdout with the result. Where a kernel touches memory, the page is fetched from the other
 * process; when it has returned, the bytes that it changed are written back there, and no others.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARGUMENTS 6
#define PAGE 4096
#define MOST_PAGES (1 << 18)

typedef int64_t kernel(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);
#define KERNEL(name) extern kernel edgebert_kernel_##name;
#include "kernels.h"
#undef KERNEL
#define KERNEL(name) edgebert_kernel_##name,
static kernel *const kernels[] = {
#include "kernels.h"
};

struct call {
    int64_t function;
    int64_t arguments[ARGUMENTS];
};

static int memory;
static int pages;
static unsigned char *page_at[MOST_PAGES];
static unsigned char *before; /* each page as it was fetched */

static void fail(const char *what, const void *where) {
    fprintf(stderr, "remote: %s %p\n", what, where);
    _exit(70);
}

/* A kernel touched a page that is not here: fetch it. */
static void fetch(int signal_number, siginfo_t *fault, void *context) {
    unsigned char *page = (unsigned char *)((uintptr_t)fault->si_addr & ~(uintptr_t)(PAGE - 1));
    (void)signal_number, (void)context;
    if (pages == MOST_PAGES)
        fail("too much memory is touched; the last was", fault->si_addr);
    void *got = mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != page)
        fail("a page is already in use", page);
    if (pread(memory, page, PAGE, (off_t)(uintptr_t)page) != PAGE)
        fail("a kernel touched what its caller has not mapped:", fault->si_addr);
    memcpy(before + (size_t)PAGE * pages, page, PAGE);
    page_at[pages++] = page;
}

/* Write back what a kernel changed. */
static void give_back(void) {
    for (int i = 0; i < pages; i++) {
        const unsigned char *old = before + (size_t)PAGE * i, *page = page_at[i];
        for (int begin = 0, end; memcmp(old, page, PAGE) && begin < PAGE; begin = end) {
            int changed = old[begin] != page[begin];
            for (end = begin + 1; end < PAGE && (old[end] != page[end]) == changed; end++)
                ;
            if (changed && pwrite(memory, page + begin, end - begin, (off_t)(uintptr_t)(page + begin)) != end - begin)
                fail("a kernel wrote to memory that its caller may only read:", page + begin);
        }
        munmap(page_at[i], PAGE);
    }
    pages = 0;
}

int main(int count, char **words) {
    struct sigaction action = {.sa_sigaction = fetch, .sa_flags = SA_SIGINFO};
    struct call call;
    if (count != 2 || (memory = open(words[1], O_RDWR)) < 0)
        fail("cannot open the other process's memory", NULL);
    before = mmap(NULL, (size_t)PAGE * MOST_PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    if (before == MAP_FAILED)
        fail("no memory", NULL);
    sigaction(SIGSEGV, &action, NULL);
    while (fread(&call, sizeof call, 1, stdin) == 1) {
        const int64_t *a = call.arguments;
        int64_t result = kernels[call.function](a[0], a[1], a[2], a[3], a[4], a[5]);
        give_back();
        if (fwrite(&result, sizeof result, 1, stdout) != 1 || fflush(stdout))
            return 1;
    }
    return 0;
}
