/* edgebert: a BERT encoder in int8, without Python.
 *
 *     edgebert_model *model;
 *     if (edgebert_open("model.image", 0, &model) != EDGEBERT_OK)
 *         fprintf(stderr, "%s\n", edgebert_message());
 *     size_t length = 5;
 *     float scores[2];
 *     edgebert_classify(model, ids, NULL, &length, 1, scores);
 *     edgebert_close(model);
 *
 * Texts are token ids, special ones included, as the model's tokenizer makes them (tokenizer.json, which lies beside
 * this file, is read by Hugging Face's tokenizers). Several texts lie end to end: `ids` of all, and the `lengths` of
 * each; a text's result does not depend on the others. `types` are the token types (0 and 1 for the two texts of a
 * pair); NULL for zeros.
 *
 * A model may be used from several threads; calls wait for each other. A forked child opens its own, and may close its
 * parent's. The library's threads take none of the program's signals. After a call that failed, what the output holds
 * means nothing.
 *
 * The model file is mapped, not copied. Replace it by renaming another to its name: a program goes on with the one that
 * it has open. A file that was written to is refused by the next call; one that is cut off during a call ends the
 * program.
 */
#ifndef EDGEBERT_H
#define EDGEBERT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgebert_model edgebert_model;

typedef enum {
    EDGEBERT_OK = 0,
    EDGEBERT_FILE = 1,      /* the model file cannot be read, or was written to since it was opened */
    EDGEBERT_DAMAGED = 2,   /* it is no model file, or not as it was written */
    EDGEBERT_VERSION = 3,   /* it was exported by another version than this library */
    EDGEBERT_PROCESSOR = 4, /* this processor lacks instructions that the library was compiled for */
    EDGEBERT_MEMORY = 5,    /* there is not enough memory */
    EDGEBERT_THREADS = 6,   /* that is no number of threads */
    EDGEBERT_INPUT = 7,     /* an id, a type or a length is out of range */
    EDGEBERT_TASK = 8,      /* the model was not trained for this */
    EDGEBERT_RESULT = 9,    /* the model gives values that are no numbers */
    EDGEBERT_PROCESS = 10   /* the model was opened by this process's parent */
} edgebert_status;

/* What went wrong in the last call of this thread that did not return EDGEBERT_OK. */
const char *edgebert_message(void);

/* Open a model with so many threads, of which the caller's is one; 0 for as many processors as this process may use, by
 * its affinity mask and the quota of its control groups. Where the system gives fewer threads, those do the work. */
edgebert_status edgebert_open(const char *path, int threads, edgebert_model **model);

/* Close it. No other call may be in progress. NULL is closed already. */
void edgebert_close(edgebert_model *model);

/* Threads in use; values of a token's hidden state; tokens that a text may have; values of a text's vector (0 for a
 * model without one); labels, and their names. */
int edgebert_threads(const edgebert_model *model);
int edgebert_hidden_size(const edgebert_model *model);
int edgebert_max_length(const edgebert_model *model);
int edgebert_vector_size(const edgebert_model *model);
int edgebert_label_count(const edgebert_model *model);
const char *edgebert_label(const edgebert_model *model, int i);

/* The last hidden states: float hidden[tokens of all texts][hidden_size]. */
edgebert_status edgebert_encode(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                                size_t texts, float *hidden);

/* A vector for each text, as the model's makers meant it: float vectors[texts][vector_size]. */
edgebert_status edgebert_embed(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                               size_t texts, float *vectors);

/* A score for each label of each text: float scores[texts][label_count]. */
edgebert_status edgebert_classify(edgebert_model *model, const int32_t *ids, const int32_t *types,
                                  const size_t *lengths, size_t texts, float *scores);

/* A score for each label of each token: float scores[tokens of all texts][label_count]. */
edgebert_status edgebert_tag(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                             size_t texts, float *scores);

#ifdef __cplusplus
}
#endif
#endif
