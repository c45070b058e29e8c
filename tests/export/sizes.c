/* Where a library's workspace puts its buffers, for the numbers that it is called with. */
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

static int64_t scratch;
int64_t edgebert_kernel_scratch_bytes(int64_t head_dim, int64_t longest) { return scratch + 0 * (head_dim + longest); }

int main(int count, char **words) {
    int64_t n[12];
    if (count != 13)
        return 1;
    for (int i = 0; i < 12; i++)
        n[i] = atoll(words[i + 1]);
    scratch = n[11];
    struct plan plan = {
        .num_attention_heads = n[0],
        .num_key_value_heads = n[1],
        .head_dim = n[2],
        .hidden_stride = n[3],
        .intermediate_stride = n[4],
        .context_stride = n[5],
        .embedding_stride = n[6],
        .step_count = n[7],
    };
    static unsigned char reserve[1]; /* only its address counts */
    int64_t longest = n[9], begin = (int64_t)reserve;
    size_t size = edgebert_lay_out(&plan, n[8], longest, longest, (int)n[10], reserve);
    const int64_t places[] = {plan.hidden,      plan.narrow,    plan.heads,    plan.head_scale, plan.key_offset,
                              plan.quantized,   plan.row_scale, plan.row_zero, plan.inner,      plan.inner_scale,
                              plan.inner_zero,  plan.scratch,   plan.stages,   plan.epoch,      plan.active,
                              begin + (int64_t)size};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        printf("%lld ", (long long)(places[i] - begin));
    printf("%lld\n", (long long)plan.scratch_bytes);
    return 0;
}
