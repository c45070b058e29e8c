/* What the files of the library share. records.h is written at export: the records that Python and the kernels know. */
#ifndef EDGEBERT_INTERNAL_H
#define EDGEBERT_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "edgebert.h"
#include "records.h"

#define EDGEBERT_MOST_THREADS 1024

#pragma GCC visibility push(hidden)

/* error.c: keep a message for the caller, and return the status. */
edgebert_status edgebert_fail(edgebert_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* processor.c */
edgebert_status edgebert_check_processor(void);

/* threads.c: the processors that this process may use; and those that the control groups in a file like
 * /proc/self/cgroup grant, which lie under `root`: INT64_MAX for any number. */
int edgebert_usable_processors(void);
int64_t edgebert_processor_quota(const char *membership, const char *root);

/* image.c: a model file, mapped to be read. Its checksum is right, its contents are yet to be checked. */
struct image {
    const unsigned char *base;
    size_t size;
    struct header header;
    int file;
    struct stat about; /* when it was opened */
};
edgebert_status edgebert_map_image(const char *path, struct image *image);
edgebert_status edgebert_check_unchanged(const struct image *image);
void edgebert_unmap_image(struct image *image);

/* contents.c: the records that lead to the arrays of a model file; they lie in memory of this process. */
struct head_layer {
    int64_t K, N, outputs, activation; /* N: outputs padded */
    double eps;                        /* of a LayerNorm; 0 for a linear layer */
    const float *weight, *bias;        /* [K][N], of a LayerNorm [outputs]; [outputs] */
};
struct contents {
    struct plan plan;
    struct step *steps;
    struct linear *linears;
    struct norm *norms;
    struct distances *distances;
    struct bias {
        const struct step *first; /* that has it */
        int64_t values;
    } *biases;
    struct head_layer head[EDGEBERT_MOST_HEAD_LAYERS];
    char *labels;        /* names that end in a zero */
    int64_t most_groups; /* of a linear layer */
    int64_t widest;      /* values of a token in the head, padded */
};
edgebert_status edgebert_read_contents(const char *path, const struct image *image, struct contents *contents);
void edgebert_free_contents(struct contents *contents);

/* steps.c: the first step that cannot be taken, or how many there are where none makes a result; -1 for none. */
int64_t edgebert_unsound_step(const struct plan *plan, const struct header *header);

/* workspace.c: where a forward pass of so many tokens works. With no reserve, only the size is found out. */
int64_t edgebert_padded(int64_t size, int64_t unit);
size_t edgebert_take(unsigned char *reserve, size_t *used, int64_t size, int64_t *place);
size_t edgebert_lay_out(struct plan *plan, int64_t most_groups, int64_t longest, int64_t budget, int threads,
                        unsigned char *reserve);

/* team.c: the threads that run a forward pass together. */
struct team {
    struct plan *plan;
    int size; /* those that could be started, and the caller's */
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
edgebert_status edgebert_start_team(struct team *team, struct plan *plan, int size);
void edgebert_run_team(struct team *team);
void edgebert_end_team(struct team *team, bool forked);

/* outputs.c: from the hidden states of a text to what was asked for, behind which `out` points then. Returns false
 * where a result is no number. */
typedef bool edgebert_output(const struct image *image, const struct contents *contents, float *const values[2],
                             const float *hidden, size_t length, float **out);
edgebert_output edgebert_copy_hidden, edgebert_pool, edgebert_head_of_text, edgebert_head_of_all;

/* functions.c: to the last bit or nearly so in double, whatever the C library has. */
bool edgebert_all_finite(const void *floats, size_t count);
double edgebert_exp(double x);
double edgebert_activate(double x, int64_t code);

#pragma GCC visibility pop
#endif
