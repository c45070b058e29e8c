/* From a model file to the records that the kernels read. No number in the file says where something lies: arrays
 * follow each other, their sizes follow from what stands before them, and the last one must end with the file. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    const struct image *image;
    size_t at;
    bool fits;   /* all arrays so far lie in the file, and what describes them can be used */
    bool finite; /* all floats so far are numbers */
    int64_t most_groups, biases;
};

static const struct limit {
    const char *name;
    size_t field;
    int64_t lowest, highest;
} limits[] = {EDGEBERT_LIMITS};

/* Heads that turn are cut in two, and there is an angle for each token of a text, but none for a padding's position. */
static bool can_turn(const struct header *header) {
    return !header->angles_count || (header->head_dim % (2 * EDGEBERT_LANES) == 0 && header->padding < 0);
}

/* Each key and value is shared by as many heads of queries. */
static bool sound_heads(const struct header *header) {
    int64_t heads = header->num_attention_heads, key_heads = header->num_key_value_heads;
    return heads % key_heads == 0 && header->head_dim % EDGEBERT_LANES == 0 &&
           (heads + 2 * key_heads) * header->head_dim <= EDGEBERT_MOST_OUTPUTS && can_turn(header);
}

static edgebert_status check_header(const char *path, const struct header *header) {
    for (const struct limit *limit = limits; limit < limits + sizeof limits / sizeof *limits; limit++) {
        int64_t value;
        memcpy(&value, (const char *)header + limit->field, sizeof value);
        if (value < limit->lowest || value > limit->highest)
            return edgebert_fail(EDGEBERT_DAMAGED, "%s is damaged: its %s is %lld, expected %lld to %lld; export it again",
                                 path, limit->name, (long long)value, (long long)limit->lowest,
                                 (long long)limit->highest);
    }
    int64_t groups = header->embedding_stride / EDGEBERT_INT4_GROUP;
    bool headless = header->head == EDGEBERT_HEAD_NONE;
    if (header->max_length > header->max_position_embeddings || header->intermediate_stride % EDGEBERT_K_MULTIPLE ||
        header->embedding_stride % EDGEBERT_K_MULTIPLE || (header->word_groups && header->word_groups != groups) ||
        headless != !header->head_layers || headless != !header->label_count || !sound_heads(header) ||
        (header->head == EDGEBERT_HEAD_TEXT) != (header->head_pooling != EDGEBERT_POOL_NONE) ||
        !(header->softmax_scale >= EDGEBERT_LEAST_SCALE && header->softmax_scale <= EDGEBERT_MOST_SCALE))
        return edgebert_fail(EDGEBERT_DAMAGED, "%s is damaged: its sizes contradict each other; export it again", path);
    return EDGEBERT_OK;
}

/* The next array of the file: rows, each of so many bytes; where it does not fit, an array of zeros. */
static const void *take(struct reader *reader, int64_t rows, int64_t row_bytes) {
    static const int64_t nothing[4];
    size_t begin = (reader->at + EDGEBERT_ALIGNMENT - 1) / EDGEBERT_ALIGNMENT * EDGEBERT_ALIGNMENT;
    size_t size = (size_t)(rows * row_bytes);
    reader->fits &= begin <= reader->image->size && size <= reader->image->size - begin;
    if (!reader->fits)
        return nothing;
    reader->at = begin + size;
    return reader->image->base + begin;
}

static int64_t take_bytes(struct reader *reader, int64_t rows, int64_t columns) {
    return (int64_t)take(reader, rows, columns);
}

static int64_t take_floats(struct reader *reader, int64_t rows, int64_t columns) {
    const float *array = take(reader, rows, (int64_t)sizeof *array * columns);
    reader->finite &= !reader->fits || edgebert_all_finite(array, (size_t)(rows * columns));
    return (int64_t)array;
}

static void take_linear(struct reader *reader, struct linear *linear) {
    int64_t shape[4];
    memcpy(shape, take(reader, 1, sizeof shape), sizeof shape);
    int64_t N = shape[0], K = shape[1], groups = shape[2], depth = shape[3];
    bool sound = N >= EDGEBERT_LANES && N <= EDGEBERT_MOST_OUTPUTS && N % EDGEBERT_LANES == 0 &&
                 K >= EDGEBERT_K_MULTIPLE && K <= EDGEBERT_MOST_OUTPUTS && K % EDGEBERT_K_MULTIPLE == 0 &&
                 groups >= 1 && groups <= K / EDGEBERT_K_MULTIPLE && depth >= 1 && depth <= EDGEBERT_MOST_DEPTH;
    int64_t group = sound ? edgebert_padded((K + groups - 1) / groups, EDGEBERT_K_MULTIPLE) : EDGEBERT_K_MULTIPLE;
    reader->fits &= sound && group <= EDGEBERT_GROUP_LARGEST && (K + group - 1) / group == groups;
    if (!reader->fits)
        return;
    if (groups > reader->most_groups)
        reader->most_groups = groups;
    *linear = (struct linear){.N = N, .K = K, .group = group, .groups = groups, .depth = depth};
    linear->weight = take_bytes(reader, N, K);
    linear->scale = take_floats(reader, groups, N);
    linear->column_sums = take_floats(reader, groups, N);
    linear->bias = take_floats(reader, 1, N);
}

static void take_norm(struct reader *reader, struct norm *norm) {
    const int64_t *shape = take(reader, 1, 2 * sizeof *shape);
    const float *eps = take(reader, 1, sizeof *eps);
    *norm = (struct norm){.size = shape[0], .rms = shape[1], .eps = *eps};
    reader->fits &= norm->size >= 1 && norm->size <= EDGEBERT_MOST_OUTPUTS && (norm->rms == 0 || norm->rms == 1) &&
                    norm->eps >= 0 && norm->eps <= 1;
    if (!reader->fits)
        return;
    norm->weight = take_floats(reader, 1, edgebert_padded(norm->size, EDGEBERT_K_MULTIPLE));
    norm->bias = take_floats(reader, 1, edgebert_padded(norm->size, EDGEBERT_K_MULTIPLE));
}

/* The queries and keys that stand for distances: their sizes follow from those of heads and of the longest text. */
static void take_distances(struct reader *reader, struct distances *distances) {
    const struct header *header = &reader->image->header;
    int64_t heads = header->num_attention_heads, head_dim = header->head_dim, longest = header->max_position_embeddings;
    int64_t row = edgebert_padded(2 * longest + 2 * EDGEBERT_LANES, EDGEBERT_LANES);
    *distances = (struct distances){.row = row, .centre = longest - 1};
    distances->keys = take_bytes(reader, heads * row, edgebert_padded(head_dim, EDGEBERT_K_MULTIPLE));
    distances->queries = take_bytes(reader, 1, heads * row * head_dim + EDGEBERT_K_MULTIPLE);
    distances->scales = take_floats(reader, heads * 3, row);
}

/* In the file a step counts the parts of each kind from 1. */
static int64_t part(struct reader *reader, int64_t number, int64_t count, const void *parts, size_t size) {
    if (!number)
        return 0;
    reader->fits &= number >= 1 && number <= count;
    return reader->fits ? (int64_t)((const char *)parts + (size_t)(number - 1) * size) : 0;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* What distances add in attention: steps count the arrays from 1. The first step that has one says how large it is, and
 * those that share it agree. Where not all is seen, more stands on either side, which masks the rest. */
static void take_bias(struct reader *reader, struct contents *contents, struct step *step) {
    const struct plan *plan = &contents->plan;
    const struct header *header = &reader->image->header;
    int64_t longest = header->max_position_embeddings, row = step->bias_row;
    reader->fits &= step->bias >= 0 && step->bias <= header->bias_count && step->before >= 0 &&
                    step->before <= longest && step->behind >= 0 && step->behind <= longest;
    if (!step->bias || !reader->fits)
        return;
    struct bias *bias = &contents->biases[step->bias - 1];
    if (!bias->first) {
        int64_t before = smaller(step->before, longest - 1), behind = smaller(step->behind, longest - 1);
        bool all = before == longest - 1 && behind == longest - 1, masks = !all || step->bias_centre != before;
        int64_t beyond = masks ? EDGEBERT_BEYOND_WINDOW : 0;
        int64_t wide = beyond + before + 1 + behind + beyond + EDGEBERT_LANES;
        reader->fits &= step->bias_centre == beyond + before && (!row || row == wide);
        if (!reader->fits)
            return;
        *bias = (struct bias){.first = step, .values = take_floats(reader, row ? plan->num_attention_heads : 1, wide)};
        reader->biases++;
    }
    const struct step *first = bias->first;
    reader->fits &= step->before == first->before && step->behind == first->behind && row == first->bias_row &&
                    step->bias_centre == first->bias_centre;
    step->bias = bias->values;
}

static void take_parts(struct reader *reader, struct contents *contents) {
    const struct header *header = &reader->image->header;
    struct plan *plan = &contents->plan;
    const struct step *stored = take(reader, header->step_count, sizeof *stored);
    if (!reader->fits)
        return;
    for (int64_t i = 0; i < header->linear_count && reader->fits; i++)
        take_linear(reader, &contents->linears[i]);
    for (int64_t i = 0; i < header->norm_count && reader->fits; i++)
        take_norm(reader, &contents->norms[i]);
    for (int64_t i = 0; i < header->distances_count && reader->fits; i++)
        take_distances(reader, &contents->distances[i]);
    const int64_t hidden = plan->hidden_stride, wide = plan->intermediate_stride;
    const int64_t turns = header->max_position_embeddings * plan->head_dim;
    const float *undo = (const float *)take_floats(reader, header->undo_count, hidden);
    const float *factor = (const float *)take_floats(reader, header->factor_count, wide);
    const float *angles = (const float *)take_floats(reader, header->angles_count, turns);
    for (int64_t i = 0; i < header->step_count && reader->fits; i++) {
        struct step *step = &contents->steps[i];
        *step = stored[i];
        step->linear = part(reader, step->linear, header->linear_count, contents->linears, sizeof(struct linear));
        step->reader = part(reader, step->reader, header->linear_count, contents->linears, sizeof(struct linear));
        int64_t *norms[] = {&step->norm, &step->branch_norm, &step->query_norm, &step->key_norm};
        for (size_t n = 0; n < sizeof norms / sizeof *norms; n++)
            *norms[n] = part(reader, *norms[n], header->norm_count, contents->norms, sizeof(struct norm));
        step->distances =
            part(reader, step->distances, header->distances_count, contents->distances, sizeof(struct distances));
        step->undo = part(reader, step->undo, header->undo_count, undo, sizeof *undo * (size_t)hidden);
        step->factor = part(reader, step->factor, header->factor_count, factor, sizeof *factor * (size_t)wide);
        step->angles = part(reader, step->angles, header->angles_count, angles, sizeof *angles * (size_t)turns);
        take_bias(reader, contents, step);
    }
    reader->fits &= reader->biases == header->bias_count;
}

static void take_plan(struct reader *reader, struct contents *contents) {
    const struct header *header = &reader->image->header;
    struct plan *plan = &contents->plan;
    plan->hidden_stride = edgebert_padded(header->hidden_size, EDGEBERT_K_MULTIPLE);
    plan->intermediate_stride = header->intermediate_stride;
    plan->embedding_stride = header->embedding_stride;
    plan->num_attention_heads = header->num_attention_heads;
    plan->num_key_value_heads = header->num_key_value_heads;
    plan->head_dim = header->head_dim;
    plan->context_stride = edgebert_padded(plan->num_attention_heads * plan->head_dim, EDGEBERT_K_MULTIPLE);
    plan->word_groups = header->word_groups;
    plan->softmax_scale = header->softmax_scale;
    plan->steps = (int64_t)contents->steps;
    plan->step_count = header->step_count;
    take_parts(reader, contents);

    int64_t width = plan->embedding_stride, groups = plan->word_groups, longest = header->max_position_embeddings;
    plan->word_weight = take_bytes(reader, header->vocab_size, groups ? width / 2 : width);
    plan->word_scale = take_floats(reader, header->vocab_size, groups ? groups : 1);
    plan->word_factor = take_floats(reader, 1, width);
    if (header->has_position_embeddings)
        plan->position_embeddings = take_floats(reader, longest + (header->padding >= 0), width);
    if (header->has_token_type_embeddings)
        plan->token_type_embeddings = take_floats(reader, header->type_vocab_size, width);
}

static void take_head(struct reader *reader, struct contents *contents) {
    const struct header *header = &reader->image->header;
    int64_t K = header->hidden_size;
    contents->widest = K; /* the mean of a text's hidden states */
    for (int64_t i = 0; i < header->head_layers && reader->fits; i++) {
        struct head_layer *layer = &contents->head[i];
        int64_t shape[3];
        memcpy(shape, take(reader, 1, sizeof shape), sizeof shape);
        memcpy(&layer->eps, &shape[2], sizeof layer->eps);
        layer->K = K;
        layer->outputs = K = shape[0];
        layer->activation = shape[1];
        bool normalises = shape[2] != 0;
        reader->fits &= K >= 1 && K <= EDGEBERT_MOST_OUTPUTS && layer->activation >= 0 &&
                        layer->activation <= EDGEBERT_LAST_ACTIVATION &&
                        (!normalises ||
                         (layer->eps > 0 && layer->eps < 1 && K == layer->K && !layer->activation));
        if (!reader->fits)
            return;
        layer->N = edgebert_padded(K, EDGEBERT_LANES);
        layer->weight = (const float *)(normalises ? take_floats(reader, 1, K) : take_floats(reader, layer->K, layer->N));
        layer->bias = (const float *)take_floats(reader, 1, layer->outputs);
        if (layer->N > contents->widest)
            contents->widest = layer->N;
    }
    reader->fits &= !header->head_layers || K == header->label_count;
}

static void take_labels(struct reader *reader, struct contents *contents) {
    int64_t size = reader->image->header.label_bytes, names = 0;
    const char *labels = size ? take(reader, size, 1) : NULL;
    if (!reader->fits)
        return;
    for (int64_t i = 0; i < size; i++)
        names += !(contents->labels[i] = labels[i]);
    reader->fits = names == reader->image->header.label_count && (!size || !contents->labels[size - 1]);
}

edgebert_status edgebert_read_contents(const char *path, const struct image *image, struct contents *contents) {
    const struct header *header = &image->header;
    edgebert_status status = check_header(path, header);
    if (status != EDGEBERT_OK)
        return status;
    if ((size_t)header->label_bytes > image->size)
        return edgebert_fail(EDGEBERT_DAMAGED, "%s is damaged: it is too short for its labels; export it again", path);
    contents->steps = calloc((size_t)header->step_count, sizeof *contents->steps);
    contents->linears = calloc((size_t)header->linear_count, sizeof *contents->linears);
    contents->norms = calloc((size_t)header->norm_count, sizeof *contents->norms);
    contents->distances = calloc((size_t)header->distances_count + 1, sizeof *contents->distances);
    contents->biases = calloc((size_t)header->bias_count + 1, sizeof *contents->biases);
    contents->labels = calloc((size_t)header->label_bytes + 1, 1);
    if (!contents->steps || !contents->linears || !contents->norms || !contents->distances || !contents->biases ||
        !contents->labels)
        return edgebert_fail(EDGEBERT_MEMORY, "there is no memory for a model");
    struct reader reader = {.image = image, .at = sizeof *header, .fits = true, .finite = true};
    take_plan(&reader, contents);
    take_head(&reader, contents);
    take_labels(&reader, contents);
    contents->most_groups = reader.most_groups;
    if (!reader.fits || reader.at != image->size)
        return edgebert_fail(EDGEBERT_DAMAGED, "%s is damaged: its sizes are not those of its arrays; export it again",
                             path);
    if (!reader.finite)
        return edgebert_fail(EDGEBERT_DAMAGED, "%s is damaged: it holds values that are no numbers; export it again",
                             path);
    int64_t step = edgebert_unsound_step(&contents->plan, header);
    if (step >= 0)
        return edgebert_fail(EDGEBERT_DAMAGED, "%s is damaged: its step %lld cannot be taken; export it again", path,
                             (long long)step);
    return EDGEBERT_OK;
}

void edgebert_free_contents(struct contents *contents) {
    free(contents->steps);
    free(contents->linears);
    free(contents->norms);
    free(contents->distances);
    free(contents->biases);
    free(contents->labels);
}
