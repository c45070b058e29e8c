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

/* One token's hidden state through the layers of the head, and its logits made into scores. */
static bool run_head(const struct header *header, const struct contents *contents, float *const values[2],
                     const float *hidden, float **out) {
    const float *x = hidden;
    for (int64_t i = 0; i < header->head_layers; i++) {
        const struct head_layer *layer = &contents->head[i];
        float *y = values[i % 2];
        edgebert_kernel_dense((int64_t)x, 1, layer->K, (int64_t)layer->weight, layer->N, (int64_t)y);
        for (int64_t n = 0; n < layer->outputs; n++)
            y[n] = (float)edgebert_activate((double)(y[n] + layer->bias[n]), layer->activation);
        x = y;
    }
    /* Of values that are no numbers an activation may make zeros, and a softmax scores. */
    if (!edgebert_all_finite(hidden, (size_t)header->hidden_size) ||
        !edgebert_all_finite(x, (size_t)header->label_count))
        return false;
    score(x, header->label_count, header->function, *out);
    *out += header->label_count;
    return true;
}

bool edgebert_head_of_first(const struct image *image, const struct contents *contents, float *const values[2],
                            const float *hidden, size_t length, float **out) {
    (void)length;
    return run_head(&image->header, contents, values, hidden, out);
}

bool edgebert_head_of_all(const struct image *image, const struct contents *contents, float *const values[2],
                          const float *hidden, size_t length, float **out) {
    for (size_t i = 0; i < length; i++)
        if (!run_head(&image->header, contents, values, hidden + i * (size_t)contents->plan.hidden_stride, out))
            return false;
    return true;
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

bool edgebert_pool(const struct image *image, const struct contents *contents, float *const values[2],
                   const float *hidden, size_t length, float **out) {
    (void)values;
    size_t size = (size_t)image->header.hidden_size, stride = (size_t)contents->plan.hidden_stride;
    float *vector = *out;
    size_t token = image->header.pooling == EDGEBERT_POOL_LASTTOKEN ? length - 1 : 0;
    double squares = 0;
    memcpy(vector, hidden + token * stride, size * sizeof *vector);
    if (image->header.pooling == EDGEBERT_POOL_MEAN) {
        for (size_t i = 1; i < length; i++)
            for (size_t n = 0; n < size; n++)
                vector[n] += hidden[i * stride + n];
        for (size_t n = 0; n < size; n++)
            vector[n] /= (float)length;
    }
    for (size_t n = 0; n < size; n++)
        squares += (double)vector[n] * vector[n];
    double norm = square_root(squares);
    for (size_t n = 0; n < size && image->header.normalize; n++)
        vector[n] = (float)(vector[n] / (norm > 1e-12 ? norm : 1e-12));
    *out += size;
    return edgebert_all_finite(vector, size);
}
