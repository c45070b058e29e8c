/* Label texts with a model that `edgebert export` wrote, or print their vectors where it has no labels.
 *
 *     cc example.c -o example -I. -L. -ledgebert -Wl,-rpath,'$ORIGIN' -pthread
 *     echo "101 2023 2003 2307 102" | ./example model.image
 *
 * Each line of stdin is a text as token ids. With a second argument, so many threads.
 */
#include <edgebert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what) {
    fprintf(stderr, "example: %s\n", what);
    return 1;
}

/* The next whole number of a line; returns whether there was one. */
static int next_id(char **line, int32_t *id) {
    char *end;
    long value = strtol(*line, &end, 10);
    if (end == *line)
        return 0;
    *line = end, *id = (int32_t)value;
    return 1;
}

static int answer(edgebert_model *model, const int32_t *ids, size_t length) {
    int labels = edgebert_label_count(model), size = edgebert_vector_size(model), best = 0;
    int count = labels ? labels : size;
    float *values = calloc((size_t)(count ? count : 1), sizeof *values);
    if (!values)
        return fail("no memory");
    edgebert_status status = labels ? edgebert_classify(model, ids, NULL, &length, 1, values)
                                    : edgebert_embed(model, ids, NULL, &length, 1, values);
    if (status != EDGEBERT_OK) {
        free(values);
        return fail(edgebert_message());
    }
    for (int i = 1; i < labels; i++)
        if (values[i] > values[best])
            best = i;
    if (labels)
        printf("%s\t%.9g\n", edgebert_label(model, best), values[best]);
    for (int i = 0; !labels && i < size; i++)
        printf("%.9g%c", values[i], i + 1 < size ? ' ' : '\n');
    free(values);
    return fflush(stdout) ? fail("cannot write") : 0;
}

int main(int count, char **words) {
    static char line[1 << 16];
    static int32_t ids[1 << 14];
    edgebert_model *model;
    int failed = 0;
    if (count < 2)
        return fail("usage: example model.image [threads] < token ids");
    if (edgebert_open(words[1], count > 2 ? atoi(words[2]) : 0, &model) != EDGEBERT_OK)
        return fail(edgebert_message());
    while (!failed && fgets(line, sizeof line, stdin)) {
        size_t length = 0;
        char *rest = line;
        if (!strchr(line, '\n') && !feof(stdin))
            failed = fail("a line is too long");
        while (length < sizeof ids / sizeof *ids && next_id(&rest, &ids[length]))
            length++;
        if (!failed)
            failed = answer(model, ids, length);
    }
    edgebert_close(model);
    return failed;
}
