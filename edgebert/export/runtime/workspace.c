/* The memory of a forward pass, as edgebert/engine/memory.py lays it out. */
#include "internal.h"

int64_t edgebert_padded(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

size_t edgebert_take(unsigned char *reserve, size_t *used, int64_t size, int64_t *place) {
    *place = reserve ? (int64_t)(reserve + *used) : 0;
    return *used += (size_t)edgebert_padded(size, EDGEBERT_ALIGNMENT);
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

size_t edgebert_lay_out(struct plan *plan, int64_t most_groups, int64_t longest, int64_t budget, int threads,
                        unsigned char *reserve) {
    int64_t key_heads = plan->num_key_value_heads, slots = plan->num_attention_heads + 2 * key_heads;
    int64_t factors = 4 * most_groups;
    int64_t inputs = larger(larger(plan->context_stride, plan->hidden_stride), plan->embedding_stride);
    const struct {
        int64_t *place, row_bytes;
    } buffers[] = {
        {&plan->hidden, 4 * plan->hidden_stride},
        {&plan->narrow, 4 * inputs},
        {&plan->heads, slots * plan->head_dim},
        {&plan->head_scale, 4 * slots},
        {&plan->key_offset, 4 * key_heads},
        {&plan->quantized, inputs},
        {&plan->row_scale, factors},
        {&plan->row_zero, factors},
        {&plan->inner, plan->intermediate_stride},
        {&plan->inner_scale, factors},
        {&plan->inner_zero, factors},
    };
    size_t used = 0;
    plan->rows = budget + EDGEBERT_SLACK_ROWS;
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        edgebert_take(reserve, &used, plan->rows * buffers[i].row_bytes, buffers[i].place);
    plan->scratch_bytes = edgebert_kernel_scratch_bytes(plan->head_dim, longest);
    edgebert_take(reserve, &used, threads * plan->scratch_bytes, &plan->scratch);
    edgebert_take(reserve, &used, plan->step_count * (1 + threads) * EDGEBERT_STAGE_BYTES, &plan->stages);
    edgebert_take(reserve, &used, sizeof(int64_t), &plan->epoch);
    return edgebert_take(reserve, &used, sizeof(int64_t), &plan->active);
}
