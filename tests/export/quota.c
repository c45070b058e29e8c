/* The processors that control groups grant: quota MEMBERSHIP ROOT; or, without arguments, those that there are. */
#include <stdio.h>

#include "internal.h"

int main(int count, char **words) {
    long long number = count == 3 ? edgebert_processor_quota(words[1], words[2]) : edgebert_usable_processors();
    printf("%lld\n", number);
    return 0;
}
