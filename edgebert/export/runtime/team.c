/* A team of threads, parked between forward passes (edgebert/engine/team.py says the same in Python). */
#define _GNU_SOURCE
#include "internal.h"

#include <signal.h>
#include <stdlib.h>

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

/* A new thread inherits the mask: signals are for the program's own threads. What a thread does wrong itself is not
 * held back, so that the program's handlers still report it. */
static void block_signals(sigset_t *before) {
    static const int own_faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof own_faults / sizeof *own_faults; i++)
        sigdelset(&blocked, own_faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

edgebert_status edgebert_start_team(struct team *team, struct plan *plan, int size) {
    sigset_t before;
    *team = (struct team){.plan = plan, .size = 1};
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->wake, NULL);
    team->threads = calloc((size_t)size, sizeof *team->threads);
    team->members = calloc((size_t)size, sizeof *team->members);
    if (!team->threads || !team->members)
        return edgebert_fail(EDGEBERT_MEMORY, "there is no memory for %d threads", size);
    block_signals(&before);
    for (; team->size < size; team->size++) {
        team->members[team->size] = (struct member){team, team->size};
        /* Where the system gives no more threads, those that there are do the work. */
        if (pthread_create(&team->threads[team->size], NULL, work, &team->members[team->size]))
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    plan->threads = team->size; /* before any of them looks at it */
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

void edgebert_end_team(struct team *team, bool forked) {
    if (!team->size)
        return;
    /* A forked child has none of the threads, and a mutex that one of them may have held. */
    if (!forked) {
        pthread_mutex_lock(&team->mutex);
        team->closing = true;
        pthread_cond_broadcast(&team->wake);
        pthread_mutex_unlock(&team->mutex);
        for (int i = 1; i < team->size; i++)
            pthread_join(team->threads[i], NULL);
        pthread_cond_destroy(&team->wake);
        pthread_mutex_destroy(&team->mutex);
    }
    free(team->threads);
    free(team->members);
    team->size = 0;
}
