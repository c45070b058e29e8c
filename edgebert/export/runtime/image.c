/* The model file: mapped, checked, and its records' addresses made absolute. */
#define _POSIX_C_SOURCE 200809L
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint32_t table[8][256];
static pthread_once_t table_made = PTHREAD_ONCE_INIT;

static void make_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
        table[0][i] = value;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

/* The CRC-32 of zlib, eight bytes at a time. */
static uint32_t checksum(const unsigned char *data, size_t size) {
    uint32_t value = ~0u;
    pthread_once(&table_made, make_table);
    for (; size >= 8; data += 8, size -= 8) {
        value ^= data[0] | data[1] << 8 | data[2] << 16 | (uint32_t)data[3] << 24;
        value = table[7][value & 255] ^ table[6][value >> 8 & 255] ^ table[5][value >> 16 & 255] ^ table[4][value >> 24] ^
                table[3][data[4]] ^ table[2][data[5]] ^ table[1][data[6]] ^ table[0][data[7]];
    }
    for (; size; data++, size--)
        value = value >> 8 ^ table[0][(value ^ *data) & 255];
    return ~value;
}

static edgebert_status check(const char *path, const struct image *image) {
    const struct header *header = image->header;
    if (image->size < sizeof *header || memcmp(&header->magic, EDGEBERT_MAGIC, sizeof header->magic))
        return edgebert_fail(EDGEBERT_DAMAGED, "%s is no model that edgebert exported", path);
    if (header->interface != EDGEBERT_INTERFACE)
        return edgebert_fail(EDGEBERT_VERSION, "%s was exported by another version of edgebert; export it again", path);
    if ((uint64_t)header->size != image->size)
        return edgebert_fail(EDGEBERT_DAMAGED, "%s has %zu bytes, expected %lld; copy it anew", path, image->size,
                             (long long)header->size);
    size_t begin = sizeof *header;
    if (checksum(image->base + begin, image->size - begin) != (uint32_t)header->checksum)
        return edgebert_fail(EDGEBERT_DAMAGED, "%s is damaged: its checksum is wrong; copy it anew", path);
    return EDGEBERT_OK;
}

edgebert_status edgebert_map_image(const char *path, struct image *image) {
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &about)) {
        int error = errno;
        if (file >= 0)
            close(file);
        return edgebert_fail(EDGEBERT_FILE, "%s cannot be read: %s", path, strerror(error));
    }
    image->size = (size_t)about.st_size;
    /* Private: a page that is written to becomes a copy, the others stay the file's. */
    image->base = mmap(NULL, image->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    int error = errno;
    close(file);
    if (image->base == MAP_FAILED) {
        image->base = NULL;
        return edgebert_fail(EDGEBERT_FILE, "%s cannot be mapped: %s", path, strerror(error));
    }
    image->header = (const struct header *)image->base;
    edgebert_status status = check(path, image);
    if (status != EDGEBERT_OK) {
        edgebert_unmap_image(image);
        return status;
    }
    const int64_t *places = (const int64_t *)(image->base + image->header->relocations);
    for (int64_t i = 0; i < image->header->relocation_count; i++)
        *(int64_t *)(image->base + places[i]) += (int64_t)image->base;
    return EDGEBERT_OK;
}

void edgebert_unmap_image(struct image *image) {
    if (image->base)
        munmap(image->base, image->size);
    image->base = NULL;
}
