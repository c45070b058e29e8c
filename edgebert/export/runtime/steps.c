/* Whether the steps of a model file can be taken: each reads what one before it has made, in the size that it has. What
 * the kernels do with them is told in edgebert/steps.py and edgebert/kernels/encoder.py. */
#include "internal.h"

/* What the steps so far have made: rows in places, of the branch how wide they are (0: none), and for which linear
 * layer rows are quantized. */
struct made {
    bool residual, heads;
    int64_t branch;
    const struct linear *quantized, *inner;
};

/* Rows of so many values are quantized for the step's reader, which has to take as many; nothing may read them. */
static bool quantize(const struct step *step, int64_t size, struct made *made) {
    const struct linear *reader = (const struct linear *)step->reader;
    made->quantized = reader;
    return !reader || reader->K == size;
}

/* A LayerNorm is there, for rows of so many values. */
static bool normalises(int64_t address, int64_t stride, int64_t most) {
    const struct norm *norm = (const struct norm *)address;
    return norm && norm->size <= most && edgebert_padded(norm->size, EDGEBERT_K_MULTIPLE) == stride;
}

/* Heads are normalised without a mean, or not at all; for each of their values there is a weight. */
static bool normalises_heads(int64_t address, int64_t head_dim) {
    const struct norm *norm = (const struct norm *)address;
    return !norm || (norm->rms && norm->size <= head_dim &&
                     edgebert_padded(norm->size, EDGEBERT_K_MULTIPLE) >= head_dim);
}

/* What is multiplied has been quantized for that layer. */
static bool multiplies(const struct step *step, const struct made *made) {
    const struct linear *linear = (const struct linear *)step->linear;
    return linear && linear == (step->source == EDGEBERT_PLACE_INTERMEDIATE ? made->inner : made->quantized);
}

/* Rows of so many values go to the step's target. */
static bool leaves(const struct step *step, int64_t stride, struct made *made) {
    bool to_stream = step->target == EDGEBERT_PLACE_RESIDUAL;
    made->residual |= to_stream;
    made->branch = to_stream ? made->branch : stride;
    return to_stream || step->target == EDGEBERT_PLACE_BRANCH;
}

static bool embed(const struct plan *plan, const struct step *step, struct made *made) {
    int64_t stride = plan->embedding_stride;
    bool fits = step->target != EDGEBERT_PLACE_RESIDUAL || stride == plan->hidden_stride;
    return fits && leaves(step, stride, made) && (!step->norm || normalises(step->norm, stride, stride)) &&
           quantize(step, stride, made);
}

/* The stream stays as it is; beside it stands what is read of it. */
static bool normalise(const struct plan *plan, const struct step *step, int64_t hidden_size, struct made *made) {
    bool beside = step->source == EDGEBERT_PLACE_RESIDUAL && step->target == EDGEBERT_PLACE_BRANCH;
    return made->residual && beside && leaves(step, plan->hidden_stride, made) &&
           normalises(step->norm, plan->hidden_stride, hidden_size) && quantize(step, plan->hidden_stride, made);
}

static bool quantize_rows(const struct plan *plan, const struct step *step, struct made *made) {
    if (step->source == EDGEBERT_PLACE_RESIDUAL)
        return made->residual && quantize(step, plan->hidden_stride, made);
    return step->source == EDGEBERT_PLACE_BRANCH && made->branch == plan->context_stride &&
           quantize(step, plan->context_stride, made);
}

static bool project(const struct plan *plan, const struct step *step, struct made *made) {
    const struct linear *linear = (const struct linear *)step->linear;
    return multiplies(step, made) && linear->N == plan->hidden_stride && leaves(step, plan->hidden_stride, made);
}

static bool project_heads(const struct plan *plan, const struct step *step, struct made *made) {
    const struct linear *linear = (const struct linear *)step->linear;
    made->heads = true;
    return multiplies(step, made) && step->source != EDGEBERT_PLACE_INTERMEDIATE &&
           linear->N == (plan->num_attention_heads + 2 * plan->num_key_value_heads) * plan->head_dim &&
           normalises_heads(step->query_norm, plan->head_dim) && normalises_heads(step->key_norm, plan->head_dim);
}

/* What is not seen is what a bias masks; where distances are scored, all is seen. */
static bool attend(const struct plan *plan, const struct step *step, int64_t longest, struct made *made) {
    made->branch = plan->context_stride;
    bool sees_all = step->before >= longest - 1 && step->behind >= longest - 1;
    return made->heads && (step->bias ? !step->distances : sees_all);
}

static bool add_and_norm(const struct plan *plan, const struct step *step, int64_t hidden_size, struct made *made) {
    int64_t stride = plan->hidden_stride;
    bool ready = made->residual && made->branch == stride;
    return ready && leaves(step, stride, made) && normalises(step->norm, stride, hidden_size) &&
           (!step->branch_norm || normalises(step->branch_norm, stride, hidden_size)) && quantize(step, stride, made);
}

static bool expand(const struct plan *plan, const struct step *step, struct made *made) {
    const struct linear *linear = (const struct linear *)step->linear, *reader = (const struct linear *)step->reader;
    /* It writes to where a reader of the intermediate activations would read. */
    bool apart = step->source != EDGEBERT_PLACE_INTERMEDIATE;
    bool ready = multiplies(step, made);
    made->inner = reader;
    bool known = (step->gated == 0 || step->gated == 1) && step->activation >= 0 &&
                 step->activation <= EDGEBERT_LAST_INTERMEDIATE_ACTIVATION;
    return apart && ready && known && linear->N == (1 + step->gated) * plan->intermediate_stride && reader &&
           reader->K == plan->intermediate_stride && step->factor;
}

static bool sound(const struct plan *plan, const struct step *step, const struct header *header, struct made *made) {
    switch (step->code) {
    case EDGEBERT_STEP_EMBED:
        return embed(plan, step, made);
    case EDGEBERT_STEP_QUANTIZE:
        return quantize_rows(plan, step, made);
    case EDGEBERT_STEP_PROJECT:
        return project(plan, step, made);
    case EDGEBERT_STEP_PROJECT_HEADS:
        return project_heads(plan, step, made);
    case EDGEBERT_STEP_ATTEND:
        return attend(plan, step, header->max_position_embeddings, made);
    case EDGEBERT_STEP_ADD_AND_NORM:
        return add_and_norm(plan, step, header->hidden_size, made);
    case EDGEBERT_STEP_NORMALISE:
        return normalise(plan, step, header->hidden_size, made);
    case EDGEBERT_STEP_EXPAND:
        return expand(plan, step, made);
    }
    return false;
}

int64_t edgebert_unsound_step(const struct plan *plan, const struct header *header) {
    const struct step *steps = (const struct step *)plan->steps;
    struct made made = {0};
    for (int64_t i = 0; i < plan->step_count; i++)
        if (!sound(plan, &steps[i], header, &made))
            return i;
    return made.residual ? -1 : plan->step_count;
}
