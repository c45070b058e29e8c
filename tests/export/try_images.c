/* Ask images all that they can be asked; their names are the lines of stdin. Prints what each came to. */
#include <edgebert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS = 5, LONGEST = 700 };
static int32_t ids[1 + 3 + 4 + 9 + LONGEST] = {1, 1, 2, 3, 0, 0, 0, 0, 5, 6, 7, 8, 9, 1, 2, 3, 4};
static size_t lengths[TEXTS] = {1, 3, 4, 9}; /* and the last as long as the model takes it */

typedef edgebert_status task(edgebert_model *, const int32_t *, const int32_t *, const size_t *, size_t, float *);

/* Whether the answers of a call that went well are numbers. */
static int ask(task *function, edgebert_model *model, size_t values) {
    float *out = malloc((values ? values : 1) * sizeof *out);
    int sound = 1;
    if (out && function(model, ids, NULL, lengths, TEXTS, out) == EDGEBERT_OK)
        for (size_t i = 0; i < values; i++)
            sound &= out[i] - out[i] == 0;
    free(out);
    return sound;
}

int main(void) {
    char path[4096];
    while (fgets(path, sizeof path, stdin)) {
        edgebert_model *model;
        path[strcspn(path, "\n")] = 0;
        edgebert_status status = edgebert_open(path, 2, &model);
        int sound = 1;
        if (status == EDGEBERT_OK) {
            size_t hidden = (size_t)edgebert_hidden_size(model), labels = (size_t)edgebert_label_count(model);
            size_t longest = (size_t)edgebert_max_length(model), last = longest < LONGEST ? longest : LONGEST;
            size_t tokens = 1 + 3 + 4 + 9 + last;
            lengths[TEXTS - 1] = last;
            sound = ask(edgebert_encode, model, tokens * hidden) & ask(edgebert_tag, model, tokens * labels) &
                    ask(edgebert_embed, model, TEXTS * (size_t)edgebert_vector_size(model)) &
                    ask(edgebert_classify, model, TEXTS * labels);
            for (int i = 0; i < edgebert_label_count(model); i++)
                sound &= strlen(edgebert_label(model, i)) < sizeof path;
        }
        edgebert_close(model);
        printf("%d %s\n", status, sound ? "sound" : "no number");
    }
    return 0;
}
