/* What the files of the library share. records.h is written at export: the records that Python and the kernels know. */
#ifndef EDGEBERT_INTERNAL_H
#define EDGEBERT_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgebert.h"
#include "records.h"

#pragma GCC visibility push(hidden)

/* The kernels (edgebert/kernels/entries.py). */
int64_t edgebert_kernel_encode(int64_t plan, int64_t epoch, int64_t thread);
int64_t edgebert_kernel_dense(int64_t x, int64_t M, int64_t K, int64_t weight, int64_t N, int64_t out);

/* error.c: keep a message for the caller, and return the status. */
edgebert_status edgebert_fail(edgebert_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* processor.c */
edgebert_status edgebert_check_processor(void);

/* image.c: a model file in memory; addresses in its records are made absolute. */
struct image {
    unsigned char *base;
    size_t size;
    const struct header *header;
};
edgebert_status edgebert_map_image(const char *path, struct image *image);
void edgebert_unmap_image(struct image *image);

/* team.c: the threads that run a forward pass together. */
struct team {
    struct plan *plan;
    int size, started;
    pthread_t *threads;
    struct member {
        struct team *team;
        int64_t number;
    } *members;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    int64_t job, epoch;
    bool closing;
};
int edgebert_usable_processors(void);
edgebert_status edgebert_start_team(struct team *team, struct plan *plan, int size);
void edgebert_run_team(struct team *team);
void edgebert_end_team(struct team *team);

/* functions.c: to the last bit or nearly so in double, whatever the C library has. */
double edgebert_exp(double x);
double edgebert_activate(double x, int64_t code);

#pragma GCC visibility pop
#endif
