/* Messages, one for each thread. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char message[320];

const char *edgebert_message(void) { return message; }

edgebert_status edgebert_fail(edgebert_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return status;
}
