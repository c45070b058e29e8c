/* What is made of hidden states: copies, vectors, and the scores of a head. */
#include "internal.h"

#include <string.h>

bool edgebert_copy_hidden(const struct image *image, const struct contents *contents, float *const values[2],
                          const float *hidden, size_t length, float **out) {
    (void)values;
    size_t size = (size_t)image->header.hidden_size;
    float *copy = *out;
    for (size_t i = 0; i < length; i++, *out += size)
        memcpy(*out, hidden + i * (size_t)contents->plan.hidden_stride, size * sizeof **out);
    return edgebert_all_finite(copy, length * size);
}

static void score(const float *logits, int64_t labels, int64_t function, float *out) {
    double highest = logits[0], total = 0;
    for (int64_t n = 1; n < labels; n++)
        highest = logits[n] > highest ? logits[n] : highest;
    for (int64_t n = 0; n < labels; n++)
        total += edgebert_exp((double)logits[n] - highest);
    for (int64_t n = 0; n < labels; n++)
        switch (function) {
        case EDGEBERT_SOFTMAX:
            out[n] = (float)(edgebert_exp((double)logits[n] - highest) / total);
            break;
        case EDGEBERT_SIGMOID:
            out[n] = (float)(1.0 / (1.0 + edgebert_exp(-(double)logits[n])));
            break;
        default:
            out[n] = logits[n];
        }
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

/* What value i of x, or its squared distance from a centre, has become when as many values are left as sizes[level]
   says: the second half is added to the first, and so on. It is Python's order of a sum. */
static double gathered(const float *x, const double *centre, const size_t *sizes, int level, size_t i) {
    if (level == 0) {
        double distance = centre ? (double)x[i] - *centre : (double)x[i];
        return centre ? distance * distance : distance;
    }
    double sum = gathered(x, centre, sizes, level - 1, i);
    size_t other = i + sizes[level];
    return other < sizes[level - 1] ? sum + gathered(x, centre, sizes, level - 1, other) : sum;
}

static double mean_of(const float *x, size_t size, const double *centre) {
    size_t sizes[8 * sizeof size] = {size};
    int level = 0;
    for (; sizes[level] > 1; level++)
        sizes[level + 1] = (sizes[level] + 1) / 2;
    return gathered(x, centre, sizes, level, 0) / (double)size;
}

static void normalise(const struct head_layer *layer, const float *x, float *y) {
    size_t size = (size_t)layer->outputs;
    double mean = mean_of(x, size, NULL), deviation = square_root(mean_of(x, size, &mean) + layer->eps);
    for (size_t n = 0; n < size; n++)
        y[n] = (float)(((double)x[n] - mean) / deviation * layer->weight[n] + layer->bias[n]);
}

static void multiply(const struct head_layer *layer, const float *x, float *y) {
    edgebert_kernel_dense((int64_t)x, 1, layer->K, (int64_t)layer->weight, layer->N, (int64_t)y);
    for (int64_t n = 0; n < layer->outputs; n++)
        y[n] = (float)edgebert_activate((double)(y[n] + layer->bias[n]), layer->activation);
}

/* The mean of so many rows of hidden states. */
static void mean_of_rows(const float *hidden, size_t length, size_t stride, size_t size, float *mean) {
    memcpy(mean, hidden, size * sizeof *mean);
    for (size_t i = 1; i < length; i++)
        for (size_t n = 0; n < size; n++)
            mean[n] += hidden[i * stride + n];
    for (size_t n = 0; n < size; n++)
        mean[n] /= (float)length;
}

/* One token's hidden state through the layers of the head, and its logits made into scores. */
static bool run_head(const struct header *header, const struct contents *contents, float *const values[2],
                     const float *hidden, float **out) {
    const float *x = hidden;
    /* Of values that are no numbers an activation may make zeros, and a softmax scores; `hidden` is overwritten. */
    if (!edgebert_all_finite(hidden, (size_t)header->hidden_size))
        return false;
    for (int64_t i = 0; i < header->head_layers; i++) {
        const struct head_layer *layer = &contents->head[i];
        float *y = values[i % 2];
        (layer->eps > 0 ? normalise : multiply)(layer, x, y);
        x = y;
    }
    if (!edgebert_all_finite(x, (size_t)header->label_count))
        return false;
    score(x, header->label_count, header->function, *out);
    *out += header->label_count;
    return true;
}

/* The first of some rows, the last, or their mean. */
static void pool_rows(const float *rows, size_t length, int64_t pooling, size_t stride, size_t size, float *out) {
    const float *first = pooling == EDGEBERT_POOL_LASTTOKEN ? rows + (length - 1) * stride : rows;
    mean_of_rows(first, pooling == EDGEBERT_POOL_MEAN ? length : 1, stride, size, out);
}

bool edgebert_head_of_text(const struct image *image, const struct contents *contents, float *const values[2],
                           const float *hidden, size_t length, float **out) {
    size_t size = (size_t)image->header.hidden_size, stride = (size_t)contents->plan.hidden_stride;
    /* The first layer writes the other. */
    pool_rows(hidden, length, image->header.head_pooling, stride, size, values[1]);
    return run_head(&image->header, contents, values, values[1], out);
}

bool edgebert_head_of_all(const struct image *image, const struct contents *contents, float *const values[2],
                          const float *hidden, size_t length, float **out) {
    for (size_t i = 0; i < length; i++)
        if (!run_head(&image->header, contents, values, hidden + i * (size_t)contents->plan.hidden_stride, out))
            return false;
    return true;
}

bool edgebert_pool(const struct image *image, const struct contents *contents, float *const values[2],
                   const float *hidden, size_t length, float **out) {
    (void)values;
    size_t size = (size_t)image->header.hidden_size, stride = (size_t)contents->plan.hidden_stride;
    float *vector = *out;
    double squares = 0;
    pool_rows(hidden, length, image->header.pooling, stride, size, vector);
    for (size_t n = 0; n < size; n++)
        squares += (double)vector[n] * vector[n];
    double norm = square_root(squares);
    for (size_t n = 0; n < size && image->header.normalize; n++)
        vector[n] = (float)(vector[n] / (norm > 1e-12 ? norm : 1e-12));
    *out += size;
    return edgebert_all_finite(vector, size);
}
