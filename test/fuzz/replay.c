/* Runs a fuzz target over its corpus, as a test: each file, every prefix of a small one, and each
 * with some bytes changed in a way that is the same every time. Arguments: files and folders. */
#include "target.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define INPUT_MAX  (1u << 20)
#define PREFIX_MAX 512
#define CHANGES    64

static unsigned files;
static unsigned runs;

/* A copy of exactly this size, so that the sanitizer sees a read beyond it. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    ensure(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    runs++;
}

static void run_changed(uint8_t *data, size_t size)
{
    static const uint8_t bytes[] = {
        0, '\r', '\n', ' ', ':', '%', '/', 0x7f, 0x80, 0xff, '0', ';'
    };
    uint32_t state = (uint32_t)size * 2654435761u + 1;
    for (unsigned i = 0; i < CHANGES && size > 0; i++) {
        state = state * 1664525u + 1013904223u;
        size_t at = (state >> 8) % size;
        uint8_t before = data[at];
        data[at] = bytes[(state >> 4) % sizeof(bytes)];
        run(data, size);
        data[at] = before;
    }
}

static void replay_file(const char *path)
{
    static uint8_t data[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);
    files++;
    run(data, size);
    for (size_t prefix = 0; prefix < size && prefix < PREFIX_MAX; prefix++) {
        run(data, prefix);
    }
    run_changed(data, size);
}

static void replay(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        replay_file(path);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char name[4096];
        struct stat about;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && stat(name, &about) == 0 && S_ISREG(about.st_mode)) {
            replay_file(name);
        }
    }
    closedir(folder);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        replay(argv[i]);
    }
    printf("%u files, %u runs\n", files, runs);
    return files > 0 ? 0 : 1;
}
