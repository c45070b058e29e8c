/* A team of threads, parked between forward passes (edgebert/engine/team.py says the same in Python). */
#define _GNU_SOURCE
#include "internal.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

int edgebert_usable_processors(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) ? (int)sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);
    return count < 1 ? 1 : count;
}

static void *work(void *argument) {
    struct member *member = argument;
    struct team *team = member->team;
    int64_t done = 0;
    pthread_mutex_lock(&team->mutex);
    for (;;) {
        while (team->job == done && !team->closing)
            pthread_cond_wait(&team->wake, &team->mutex);
        if (team->closing)
            break;
        done = team->job;
        int64_t epoch = team->epoch;
        pthread_mutex_unlock(&team->mutex);
        edgebert_kernel_encode((int64_t)team->plan, epoch, member->number);
        pthread_mutex_lock(&team->mutex);
    }
    pthread_mutex_unlock(&team->mutex);
    return NULL;
}

edgebert_status edgebert_start_team(struct team *team, struct plan *plan, int size) {
    *team = (struct team){.plan = plan, .size = size};
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->wake, NULL);
    team->threads = calloc((size_t)size, sizeof *team->threads);
    team->members = calloc((size_t)size, sizeof *team->members);
    if (!team->threads || !team->members)
        return edgebert_fail(EDGEBERT_MEMORY, "there is no memory for %d threads", size);
    for (int i = 1; i < size; i++) {
        team->members[i] = (struct member){team, i};
        if (pthread_create(&team->threads[i], NULL, work, &team->members[i]))
            return edgebert_fail(EDGEBERT_THREADS, "of %d threads only %d could be started", size, i);
        team->started = i;
    }
    return EDGEBERT_OK;
}

void edgebert_run_team(struct team *team) {
    int64_t epoch = *(int64_t *)team->plan->epoch;
    pthread_mutex_lock(&team->mutex);
    team->job++;
    team->epoch = epoch;
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->mutex);
    edgebert_kernel_encode((int64_t)team->plan, epoch, 0);
}

void edgebert_end_team(struct team *team) {
    if (!team->size)
        return;
    pthread_mutex_lock(&team->mutex);
    team->closing = true;
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->mutex);
    for (int i = 1; i <= team->started; i++)
        pthread_join(team->threads[i], NULL);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->mutex);
    free(team->threads);
    free(team->members);
    team->size = 0;
}
