/* The processors that this process may use: those of its affinity mask, and no more than the quota of its control
 * groups, versions 1 and 2, rounded up (edgebert/engine/threads.py says the same in Python). */
#define _GNU_SOURCE
#include "internal.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int64_t in_affinity_mask(void) {
    cpu_set_t set[8]; /* of 1024 processors each: the system refuses a mask that is too small for it */
    if (!sched_getaffinity(0, sizeof set, set))
        return CPU_COUNT_S(sizeof set, set);
    return sysconf(_SC_NPROCESSORS_ONLN);
}

/* How many numbers a file of a control group begins with, of those wanted; -1 where there is no file. */
static int read_numbers(const char *group, const char *name, long long *first, long long *second) {
    char path[2 * PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", group, name) >= (int)sizeof path)
        return -1;
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    int count = fscanf(file, second ? "%lld %lld" : "%lld", first, second);
    fclose(file);
    return count < 0 ? 0 : count;
}

/* The processors that a control group grants, INT64_MAX for any number. */
static int64_t quota_of(const char *group) {
    long long quota, period;
    int count = read_numbers(group, "cpu.max", &quota, &period);
    bool known = count == 2;
    if (count < 0)
        known = read_numbers(group, "cpu.cfs_quota_us", &quota, NULL) == 1 &&
                read_numbers(group, "cpu.cfs_period_us", &period, NULL) == 1;
    if (!known || quota < 0 || period <= 0)
        return INT64_MAX;
    return quota / period + (quota % period > 0);
}

/* The least that a control group and those above it grant. In a container the path may lie outside of what is mounted. */
static int64_t least_quota(const char *base, const char *path) {
    char group[2 * PATH_MAX];
    int64_t least = INT64_MAX;
    snprintf(group, sizeof group, "%s/%s", base, path + strspn(path, "/"));
    for (;;) {
        int64_t quota = quota_of(group);
        char *last = strrchr(group, '/');
        least = quota < least ? quota : least;
        if (strlen(group) <= strlen(base) || !last)
            return least;
        *last = 0;
    }
}

static bool names_cpu(char *controllers) {
    char *rest;
    for (char *name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        if (!strcmp(name, "cpu"))
            return true;
    return false;
}

int64_t edgebert_processor_quota(const char *membership, const char *root) {
    char line[2 * PATH_MAX], base[PATH_MAX];
    int64_t least = INT64_MAX;
    FILE *file = fopen(membership, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        bool version2 = !*++controllers;
        if (!version2 && !names_cpu(controllers))
            continue;
        snprintf(base, sizeof base, "%s%s", root, version2 ? "" : "/cpu");
        int64_t quota = least_quota(base, path);
        least = quota < least ? quota : least;
    }
    if (file)
        fclose(file);
    return least;
}

int edgebert_usable_processors(void) {
    int64_t count = in_affinity_mask(), quota = edgebert_processor_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    count = quota < count ? quota : count;
    return count < 1 ? 1 : count > EDGEBERT_MOST_THREADS ? EDGEBERT_MOST_THREADS : (int)count;
}
