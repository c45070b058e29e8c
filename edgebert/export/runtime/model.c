/* Opening a model, running texts through it, and what its head says. */
#define _GNU_SOURCE
#include "internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
#define MOST_THREADS 1024

struct edgebert_model {
    struct image image;
    const struct header *header;
    struct plan *plan;
    struct team team;
    pthread_mutex_t mutex;
    void *workspace;
    int64_t budget; /* tokens of a forward pass */
    int32_t *batch; /* ids, types, positions [budget], and where the sequences begin [budget + 1] */
    float *values[2]; /* a token's values on their way through the head */
};

/* Memory that begins at a cache line, cut off a reserve, or measured where there is none yet. */
static int64_t take(unsigned char *reserve, size_t *used, int64_t size) {
    size_t begin = *used;
    *used += ((size_t)size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    return reserve ? (int64_t)(reserve + begin) : 0;
}

static size_t lay_out(struct edgebert_model *model, int threads, unsigned char *reserve) {
    const struct header *header = model->header;
    struct plan *plan = model->plan;
    size_t used = 0;
    const struct workspace *fields = (const struct workspace *)(model->image.base + header->workspace);
    int64_t rows = model->budget + EDGEBERT_SLACK_ROWS, widest = header->widest;
    for (int64_t i = 0; i < header->workspace_count; i++)
        *(int64_t *)((unsigned char *)plan + fields[i].field) = take(reserve, &used, rows * fields[i].row_bytes);
    plan->rows = rows;
    plan->scratch_bytes = header->scratch_bytes;
    plan->scratch = take(reserve, &used, threads * header->scratch_bytes);
    plan->stages = take(reserve, &used, header->stages * (1 + threads) * EDGEBERT_STAGE_BYTES);
    plan->epoch = take(reserve, &used, CACHE_LINE);
    plan->active = take(reserve, &used, CACHE_LINE);
    plan->threads = threads;
    plan->yield_processor = (int64_t)sched_yield;
    model->batch = (int32_t *)take(reserve, &used, 4 * (4 * model->budget + 1));
    for (int i = 0; i < 2; i++)
        model->values[i] = (float *)take(reserve, &used, 4 * widest);
    return used;
}

edgebert_status edgebert_open(const char *path, int threads, edgebert_model **opened) {
    edgebert_status status = edgebert_check_processor();
    *opened = NULL;
    if (status != EDGEBERT_OK)
        return status;
    if (threads < 0 || threads > MOST_THREADS)
        return edgebert_fail(EDGEBERT_THREADS, "%d threads, expected 1 to %d, or 0 for all processors", threads,
                             MOST_THREADS);
    if (!threads)
        threads = edgebert_usable_processors();
    struct edgebert_model *model = calloc(1, sizeof *model);
    if (!model)
        return edgebert_fail(EDGEBERT_MEMORY, "there is no memory for a model");
    pthread_mutex_init(&model->mutex, NULL);
    status = edgebert_map_image(path, &model->image);
    if (status == EDGEBERT_OK) {
        model->header = model->image.header;
        model->plan = (struct plan *)(model->image.base + model->header->plan);
        int64_t longest = model->header->max_position_embeddings;
        model->budget = longest > EDGEBERT_TOKEN_BUDGET ? longest : EDGEBERT_TOKEN_BUDGET;
        size_t size = lay_out(model, threads, NULL);
        /* Pages of it that no batch reaches are never taken. */
        if (posix_memalign(&model->workspace, CACHE_LINE, size))
            status = edgebert_fail(EDGEBERT_MEMORY, "there is no memory for a workspace of %zu bytes", size);
        else
            lay_out(model, threads, model->workspace);
    }
    if (status == EDGEBERT_OK) {
        memset((void *)model->plan->epoch, 0, CACHE_LINE);
        memset((void *)model->plan->active, 0, CACHE_LINE);
        status = edgebert_start_team(&model->team, model->plan, threads);
    }
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
    edgebert_end_team(&model->team);
    free(model->workspace);
    edgebert_unmap_image(&model->image);
    pthread_mutex_destroy(&model->mutex);
    free(model);
}

int edgebert_threads(const edgebert_model *model) { return model->team.size; }
int edgebert_hidden_size(const edgebert_model *model) { return (int)model->plan->hidden_size; }
int edgebert_max_length(const edgebert_model *model) { return (int)model->header->max_length; }
int edgebert_vector_size(const edgebert_model *model) {
    return model->header->pooling == EDGEBERT_POOL_NONE ? 0 : edgebert_hidden_size(model);
}
int edgebert_label_count(const edgebert_model *model) { return (int)model->header->label_count; }

const char *edgebert_label(const edgebert_model *model, int i) {
    if (i < 0 || i >= model->header->label_count)
        return NULL;
    const char *name = (const char *)model->image.base + model->header->labels;
    while (i--)
        name += strlen(name) + 1;
    return name;
}

static edgebert_status check(const edgebert_model *model, const int32_t *ids, const int32_t *types,
                             const size_t *lengths, size_t texts) {
    const struct header *header = model->header;
    for (size_t text = 0, begin = 0; text < texts; begin += lengths[text++]) {
        if (!lengths[text] || lengths[text] > (uint64_t)header->max_position_embeddings)
            return edgebert_fail(EDGEBERT_INPUT, "text %zu has %zu tokens, the model takes 1 to %lld", text,
                                 lengths[text], (long long)header->max_position_embeddings);
        for (size_t i = 0; i < lengths[text]; i++) {
            int64_t id = ids[begin + i], type = types ? types[begin + i] : 0;
            if (id < 0 || id >= header->vocab_size)
                return edgebert_fail(EDGEBERT_INPUT, "token %zu of text %zu is %lld, expected 0 to %lld", i, text,
                                     (long long)id, (long long)header->vocab_size - 1);
            if (type < 0 || type >= header->type_vocab_size)
                return edgebert_fail(EDGEBERT_INPUT, "type %zu of text %zu is %lld, expected 0 to %lld", i, text,
                                     (long long)type, (long long)header->type_vocab_size - 1);
        }
    }
    return EDGEBERT_OK;
}

/* What is made of a text's hidden states; returns where the next text's result goes. */
typedef float *reader(edgebert_model *model, const float *hidden, size_t length, float *out);

/* Run texts through the encoder, as many at a time as the workspace holds, and let `read` have each. */
static edgebert_status run(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                           size_t texts, reader *read, float *out) {
    edgebert_status status = check(model, ids, types, lengths, texts);
    if (status != EDGEBERT_OK)
        return status;
    pthread_mutex_lock(&model->mutex);
    struct plan *plan = model->plan;
    int64_t padding = model->header->padding, budget = model->budget;
    int64_t stage_bytes = model->header->stages * (1 + plan->threads) * EDGEBERT_STAGE_BYTES;
    int32_t *own_ids = model->batch, *own_types = own_ids + budget, *positions = own_types + budget,
            *begins = positions + budget;
    for (size_t first = 0, last; first < texts; first = last) {
        int32_t tokens = 0;
        begins[0] = 0;
        for (last = first; last < texts && tokens + (int64_t)lengths[last] <= budget; last++) {
            int32_t position = padding < 0 ? 0 : 1;
            for (size_t i = 0; i < lengths[last]; i++, tokens++) {
                own_ids[tokens] = *ids++;
                own_types[tokens] = types ? *types++ : 0;
                positions[tokens] = own_ids[tokens] == padding ? 0 : position++;
            }
            begins[last - first + 1] = tokens;
        }
        plan->tokens = tokens;
        plan->sequences = (int64_t)(last - first);
        plan->input_ids = (int64_t)own_ids;
        plan->token_type_ids = (int64_t)own_types;
        plan->position_ids = (int64_t)positions;
        plan->cu_seqlens = (int64_t)begins;
        memset((void *)plan->stages, 0, (size_t)stage_bytes);
        edgebert_run_team(&model->team);
        const float *hidden = (const float *)plan->hidden;
        for (size_t text = first; text < last; text++)
            out = read(model, hidden + begins[text - first] * plan->hidden_stride, lengths[text], out);
    }
    pthread_mutex_unlock(&model->mutex);
    return EDGEBERT_OK;
}

static float *copy(edgebert_model *model, const float *hidden, size_t length, float *out) {
    size_t size = (size_t)model->plan->hidden_size;
    for (size_t i = 0; i < length; i++, out += size)
        memcpy(out, hidden + i * (size_t)model->plan->hidden_stride, size * sizeof *out);
    return out;
}

/* One token's hidden state through the layers of the head, and its logits made into scores. */
static float *head(edgebert_model *model, const float *hidden, float *out) {
    const struct dense *layer = (const struct dense *)(model->image.base + model->header->dense);
    const float *x = hidden;
    for (int64_t i = 0; i < model->header->dense_count; i++, layer++) {
        float *y = model->values[i % 2];
        const float *bias = (const float *)layer->bias;
        edgebert_kernel_dense((int64_t)x, 1, layer->K, layer->weight, layer->N, (int64_t)y);
        for (int64_t n = 0; n < layer->outputs; n++)
            y[n] = (float)edgebert_activate((double)(y[n] + bias[n]), layer->activation);
        x = y;
    }
    int64_t labels = model->header->label_count;
    double highest = x[0], total = 0;
    for (int64_t n = 1; n < labels; n++)
        highest = x[n] > highest ? x[n] : highest;
    for (int64_t n = 0; n < labels; n++)
        total += edgebert_exp((double)x[n] - highest);
    for (int64_t n = 0; n < labels; n++, out++)
        switch (model->header->function) {
        case EDGEBERT_SOFTMAX:
            *out = (float)(edgebert_exp((double)x[n] - highest) / total);
            break;
        case EDGEBERT_SIGMOID:
            *out = (float)(1.0 / (1.0 + edgebert_exp(-(double)x[n])));
            break;
        default:
            *out = x[n];
        }
    return out;
}

static float *head_of_first(edgebert_model *model, const float *hidden, size_t length, float *out) {
    (void)length;
    return head(model, hidden, out);
}

static float *head_of_all(edgebert_model *model, const float *hidden, size_t length, float *out) {
    for (size_t i = 0; i < length; i++)
        out = head(model, hidden + i * (size_t)model->plan->hidden_stride, out);
    return out;
}

static double square_root(double x) {
    double result;
#if defined(__x86_64__)
    __asm__("sqrtsd %1, %0" : "=x"(result) : "x"(x));
#else
    __asm__("fsqrt %d0, %d1" : "=w"(result) : "w"(x));
#endif
    return result;
}

static float *pool(edgebert_model *model, const float *hidden, size_t length, float *out) {
    size_t size = (size_t)model->plan->hidden_size, stride = (size_t)model->plan->hidden_stride;
    double squares = 0;
    memcpy(out, hidden, size * sizeof *out);
    if (model->header->pooling == EDGEBERT_POOL_MEAN) {
        for (size_t i = 1; i < length; i++)
            for (size_t n = 0; n < size; n++)
                out[n] += hidden[i * stride + n];
        for (size_t n = 0; n < size; n++)
            out[n] /= (float)length;
    }
    for (size_t n = 0; n < size; n++)
        squares += (double)out[n] * out[n];
    double norm = square_root(squares);
    for (size_t n = 0; n < size && model->header->normalize; n++)
        out[n] = (float)(out[n] / (norm > 1e-12 ? norm : 1e-12));
    return out + size;
}

edgebert_status edgebert_encode(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                                size_t texts, float *hidden) {
    return run(model, ids, types, lengths, texts, copy, hidden);
}

edgebert_status edgebert_embed(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                               size_t texts, float *vectors) {
    if (model->header->pooling == EDGEBERT_POOL_NONE)
        return edgebert_fail(EDGEBERT_TASK, "vectors of this model are made in a way that is not exported");
    return run(model, ids, types, lengths, texts, pool, vectors);
}

edgebert_status edgebert_classify(edgebert_model *model, const int32_t *ids, const int32_t *types,
                                  const size_t *lengths, size_t texts, float *scores) {
    if (model->header->head != EDGEBERT_HEAD_TEXT)
        return edgebert_fail(EDGEBERT_TASK, "the model has no classifier of texts");
    return run(model, ids, types, lengths, texts, head_of_first, scores);
}

edgebert_status edgebert_tag(edgebert_model *model, const int32_t *ids, const int32_t *types, const size_t *lengths,
                             size_t texts, float *scores) {
    if (model->header->head != EDGEBERT_HEAD_TOKENS)
        return edgebert_fail(EDGEBERT_TASK, "the model has no classifier of tokens");
    return run(model, ids, types, lengths, texts, head_of_all, scores);
}
