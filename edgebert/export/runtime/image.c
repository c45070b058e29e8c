/* The model file: mapped, and checked to be as it was written. */
#define _POSIX_C_SOURCE 200809L
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
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

/* The CRC-32 of zlib, eight bytes at a time; `value` is that of what came before. */
static uint32_t checksum(uint32_t value, const unsigned char *data, size_t size) {
    value = ~value;
    for (; size >= 8; data += 8, size -= 8) {
        value ^= data[0] | data[1] << 8 | data[2] << 16 | (uint32_t)data[3] << 24;
        value = table[7][value & 255] ^ table[6][value >> 8 & 255] ^ table[5][value >> 16 & 255] ^ table[4][value >> 24] ^
                table[3][data[4]] ^ table[2][data[5]] ^ table[1][data[6]] ^ table[0][data[7]];
    }
    for (; size; data++, size--)
        value = value >> 8 ^ table[0][(value ^ *data) & 255];
    return ~value;
}

static edgebert_status check(const char *path, struct image *image) {
    struct header blank, *header = &image->header;
    if (image->size < sizeof *header || memcmp(image->base, EDGEBERT_MAGIC, sizeof header->magic))
        return edgebert_fail(EDGEBERT_DAMAGED, "%s is no model that edgebert exported", path);
    /* What is checked is what is used, even if somebody writes to the file meanwhile. */
    memcpy(header, image->base, sizeof *header);
    if (header->interface != EDGEBERT_INTERFACE)
        return edgebert_fail(EDGEBERT_VERSION, "%s was exported by another version of edgebert; export it again", path);
    if ((uint64_t)header->size != image->size)
        return edgebert_fail(EDGEBERT_DAMAGED, "%s has %zu bytes, expected %lld; copy it anew", path, image->size,
                             (long long)header->size);
    blank = *header;
    blank.checksum = 0;
    pthread_once(&table_made, make_table);
    uint32_t sum = checksum(0, (const unsigned char *)&blank, sizeof blank);
    if (checksum(sum, image->base + sizeof blank, image->size - sizeof blank) != header->checksum)
        return edgebert_fail(EDGEBERT_DAMAGED, "%s is damaged: its checksum is wrong; copy it anew", path);
    return EDGEBERT_OK;
}

edgebert_status edgebert_map_image(const char *path, struct image *image) {
    /* Nobody may ever write to a named pipe: it is opened without waiting, and refused. */
    image->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (image->file < 0 || fstat(image->file, &image->about))
        return edgebert_fail(EDGEBERT_FILE, "%s cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(image->about.st_mode))
        return edgebert_fail(EDGEBERT_FILE, "%s cannot be read: it is no file", path);
    image->size = (size_t)image->about.st_size;
    void *base = mmap(NULL, image->size, PROT_READ, MAP_PRIVATE, image->file, 0);
    if (base == MAP_FAILED)
        return edgebert_fail(EDGEBERT_FILE, "%s cannot be mapped: %s", path, strerror(errno));
    image->base = base;
    return check(path, image);
}

/* A program may have closed all its files, or even opened another in the place of this one. */
static bool is_open(const struct image *image, struct stat *now) {
    const struct stat *then = &image->about;
    return !fstat(image->file, now) && now->st_dev == then->st_dev && now->st_ino == then->st_ino;
}

/* A page that is gone from the file would end the process, and one that has changed would change the results. */
edgebert_status edgebert_check_unchanged(const struct image *image) {
    struct stat now;
    const struct stat *then = &image->about;
    if (!is_open(image, &now))
        return EDGEBERT_OK;
    if (now.st_size == then->st_size && now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == then->st_mtim.tv_nsec)
        return EDGEBERT_OK;
    return edgebert_fail(EDGEBERT_FILE, "the model file was written to while it was open; open it again, and replace a "
                                        "model by renaming another to its name");
}

void edgebert_unmap_image(struct image *image) {
    if (image->base)
        munmap((void *)image->base, image->size);
    struct stat now;
    if (image->file >= 0 && is_open(image, &now))
        close(image->file);
    image->base = NULL;
    image->file = -1;
}
