/* Opening a model, and running texts through it. */
#define _GNU_SOURCE
#include "internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct edgebert_model {
    struct image image;
    struct contents contents;
    struct team team;
    pthread_mutex_t mutex;
    pid_t owner; /* the process that opened it */
    void *workspace;
    size_t size;      /* of the workspace, bytes */
    int64_t budget;   /* tokens of a forward pass */
    int32_t *batch;   /* ids, types, positions [budget], and where the sequences begin [budget + 1] */
    float *values[2]; /* a token's values on their way through the head */
};

static size_t lay_out(struct edgebert_model *model, int threads, unsigned char *reserve) {
    struct contents *contents = &model->contents;
    int64_t places[3], longest = model->image.header.max_position_embeddings;
    size_t used = edgebert_lay_out(&contents->plan, contents->most_groups, longest, model->budget, threads, reserve);
    edgebert_take(reserve, &used, (int64_t)sizeof *model->batch * (4 * model->budget + 1), &places[0]);
    for (int i = 0; i < 2; i++)
        edgebert_take(reserve, &used, (int64_t)sizeof **model->values * contents->widest, &places[1 + i]);
    model->batch = (int32_t *)places[0];
    model->values[0] = (float *)places[1], model->values[1] = (float *)places[2];
    return used;
}

static edgebert_status start(struct edgebert_model *model, const char *path, int threads) {
    struct plan *plan = &model->contents.plan;
    edgebert_status status = edgebert_map_image(path, &model->image);
    if (status == EDGEBERT_OK)
        status = edgebert_read_contents(path, &model->image, &model->contents);
    if (status != EDGEBERT_OK)
        return status;
    int64_t longest = model->image.header.max_position_embeddings;
    model->budget = longest > EDGEBERT_TOKEN_BUDGET ? longest : EDGEBERT_TOKEN_BUDGET;
    size_t size = lay_out(model, threads, NULL);
    /* Pages of it that no batch reaches are never taken, and all are given back: a heap would keep some. */
    void *workspace = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (workspace == MAP_FAILED)
        return edgebert_fail(EDGEBERT_MEMORY, "there is no memory for a workspace of %zu bytes", size);
    model->workspace = workspace, model->size = size;
    lay_out(model, threads, model->workspace);
    plan->yield_processor = (int64_t)sched_yield;
    *(int64_t *)plan->epoch = *(int64_t *)plan->active = 0;
    return edgebert_start_team(&model->team, plan, threads);
}

edgebert_status edgebert_open(const char *path, int threads, edgebert_model **opened) {
    edgebert_status status = edgebert_check_processor();
    *opened = NULL;
    if (status != EDGEBERT_OK)
        return status;
    if (threads < 0 || threads > EDGEBERT_MOST_THREADS)
        return edgebert_fail(EDGEBERT_THREADS, "%d threads, expected 1 to %d, or 0 for all processors", threads,
                             EDGEBERT_MOST_THREADS);
    if (!threads)
        threads = edgebert_usable_processors();
    struct edgebert_model *model = calloc(1, sizeof *model);
    if (!model)
        return edgebert_fail(EDGEBERT_MEMORY, "there is no memory for a model");
    model->owner = getpid();
    pthread_mutex_init(&model->mutex, NULL);
    status = start(model, path, threads);
    if (status != EDGEBERT_OK) {
        edgebert_close(model);
        return status;
    }
    *opened = model;
    return EDGEBERT_OK;
}

void edgebert_close(edgebert_model *model) {
    if (!model)
        return;
    bool forked = getpid() != model->owner;
    edgebert_end_team(&model->team, forked);
    if (model->workspace)
        munmap(model->workspace, model->size);
    edgebert_free_contents(&model->contents);
    edgebert_unmap_image(&model->image);
    if (!forked)
        pthread_mutex_destroy(&model->mutex);
    free(model);
}

int edgebert_threads(const edgebert_model *model) { return model->team.size; }
int edgebert_hidden_size(const edgebert_model *model) { return (int)model->image.header.hidden_size; }
int edgebert_max_length(const edgebert_model *model) { return (int)model->image.header.max_length; }
int edgebert_vector_size(const edgebert_model *model) {
    return model->image.header.pooling == EDGEBERT_POOL_NONE ? 0 : edgebert_hidden_size(model);
}
int edgebert_label_count(const edgebert_model *model) { return (int)model->image.header.label_count; }

const char *edgebert_label(const edgebert_model *model, int i) {
    if (i < 0 || i >= edgebert_label_count(model))
        return NULL;
    const char *name = model->contents.labels;
    while (i--)
        name += strlen(name) + 1;
    return name;
}

struct texts {
    const int32_t *ids, *types; /* of those that are still to come */
    const size_t *lengths;
    size_t count, first, last; /* those of a batch are first to last - 1 */
};

static edgebert_status check_text(const struct header *header, const int32_t *ids, const int32_t *types, size_t length,
                                  size_t text) {
    for (size_t i = 0; i < length; i++) {
        if (ids[i] < 0 || ids[i] >= header->vocab_size)
            return edgebert_fail(EDGEBERT_INPUT, "token %zu of text %zu is %ld, expected 0 to %lld", i, text,
                                 (long)ids[i], (long long)header->vocab_size - 1);
        if (types[i] < 0 || types[i] >= header->type_vocab_size)
            return edgebert_fail(EDGEBERT_INPUT, "type %zu of text %zu is %ld, expected 0 to %lld", i, text,
                                 (long)types[i], (long long)header->type_vocab_size - 1);
    }
    return EDGEBERT_OK;
}

/* Copy the texts of the next batch, and check the copies: another thread may write to the caller's arrays. */
static edgebert_status next_batch(edgebert_model *model, struct texts *texts) {
    const struct header *header = &model->image.header;
    struct plan *plan = &model->contents.plan;
    int32_t *ids = model->batch, *types = ids + model->budget, *positions = types + model->budget,
            *begins = positions + model->budget;
    size_t tokens = 0;
    begins[0] = 0;
    plan->longest = 0;
    texts->first = texts->last;
    for (; texts->last < texts->count; texts->last++) {
        size_t length = __atomic_load_n(&texts->lengths[texts->last], __ATOMIC_RELAXED);
        if (!length || length > (uint64_t)header->max_position_embeddings)
            return edgebert_fail(EDGEBERT_INPUT, "text %zu has %zu tokens, the model takes 1 to %lld", texts->last,
                                 length, (long long)header->max_position_embeddings);
        if (tokens + length > (uint64_t)model->budget)
            break;
        memcpy(ids + tokens, texts->ids, length * sizeof *ids);
        if (texts->types)
            memcpy(types + tokens, texts->types, length * sizeof *types);
        else
            memset(types + tokens, 0, length * sizeof *types);
        edgebert_status status = check_text(header, ids + tokens, types + tokens, length, texts->last);
        if (status != EDGEBERT_OK)
            return status;
        texts->ids += length;
        texts->types = texts->types ? texts->types + length : NULL;
        int32_t position = header->padding < 0 ? 0 : 1;
        for (size_t end = tokens + length; tokens < end; tokens++)
            positions[tokens] = ids[tokens] == header->padding ? 0 : position++;
        begins[texts->last - texts->first + 1] = (int32_t)tokens;
        plan->longest = (int64_t)length > plan->longest ? (int64_t)length : plan->longest;
    }
    plan->tokens = (int64_t)tokens;
    plan->sequences = (int64_t)(texts->last - texts->first);
    plan->input_ids = (int64_t)ids;
    plan->token_type_ids = (int64_t)types;
    plan->position_ids = (int64_t)positions;
    plan->cu_seqlens = (int64_t)begins;
    return EDGEBERT_OK;
}

static edgebert_status encode_batch(edgebert_model *model, edgebert_output *output, float **out) {
    struct plan *plan = &model->contents.plan;
    const int32_t *begins = (const int32_t *)plan->cu_seqlens;
    const float *hidden = (const float *)plan->hidden;
    /* Up to the epoch lie the counters of all stages. */
    memset((void *)plan->stages, 0, (size_t)(plan->epoch - plan->stages));
    edgebert_run_team(&model->team);
    bool sound = true;
    for (int64_t i = 0; i < plan->sequences && sound; i++)
        sound = output(&model->image, &model->contents, model->values, hidden + begins[i] * plan->hidden_stride,
                       (size_t)(begins[i + 1] - begins[i]), out);
    return sound ? EDGEBERT_OK : edgebert_fail(EDGEBERT_RESULT, "the model gives values that are no numbers");
}

static edgebert_status run(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                           size_t count, edgebert_output *output, float *out) {
    /* Before the lock, which a thread that the child does not have may have held. */
    if (getpid() != model->owner)
        return edgebert_fail(EDGEBERT_PROCESS, "the model was opened before a fork; the child has to open it again");
    struct texts texts = {.ids = ids, .types = types, .lengths = lengths, .count = count};
    pthread_mutex_lock(&model->mutex);
    edgebert_status status = edgebert_check_unchanged(&model->image);
    while (status == EDGEBERT_OK && texts.last < texts.count) {
        status = next_batch(model, &texts);
        if (status == EDGEBERT_OK)
            status = encode_batch(model, output, &out);
    }
    pthread_mutex_unlock(&model->mutex);
    return status;
}

edgebert_status edgebert_encode(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                                size_t texts, float *hidden) {
    return run(model, ids, types, lengths, texts, edgebert_copy_hidden, hidden);
}

edgebert_status edgebert_embed(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                               size_t texts, float *vectors) {
    if (model->image.header.pooling == EDGEBERT_POOL_NONE)
        return edgebert_fail(EDGEBERT_TASK, "vectors of this model are made in a way that is not exported");
    return run(model, ids, types, lengths, texts, edgebert_pool, vectors);
}

edgebert_status edgebert_classify(edgebert_model *model, const int32_t *ids, const int32_t *types,
                                  const size_t *lengths, size_t texts, float *scores) {
    if (model->image.header.head != EDGEBERT_HEAD_TEXT)
        return edgebert_fail(EDGEBERT_TASK, "the model has no classifier of texts");
    return run(model, ids, types, lengths, texts, edgebert_head_of_text, scores);
}

edgebert_status edgebert_tag(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                             size_t texts, float *scores) {
    if (model->image.header.head != EDGEBERT_HEAD_TOKENS)
        return edgebert_fail(EDGEBERT_TASK, "the model has no classifier of tokens");
    return run(model, ids, types, lengths, texts, edgebert_head_of_all, scores);
}
