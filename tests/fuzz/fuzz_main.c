/* Replays inputs through a fuzz target where it is not linked with libFuzzer: each argument is a
 * file, or a folder of files; arguments that begin with '-' are libFuzzer's and mean nothing here.
 * A failing input ends the program by its failed assertion, after its name was printed. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static bool replay(const char *path);
static bool replay_folder(const char *path);
static bool replay_file(const char *path, size_t size);

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-' && !replay(argv[i]))
            return EXIT_FAILURE;
    printf("%u inputs replayed\n", replayed);
    return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool replay(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        perror(path);
        return false;
    }
    return S_ISDIR(info.st_mode) ? replay_folder(path) : replay_file(path, (size_t)info.st_size);
}

static bool replay_folder(const char *path)
{
    struct dirent **entries;
    int             count = scandir(path, &entries, NULL, alphasort);
    bool            good = count >= 0;

    if (!good)
        perror(path);
    for (int i = 0; i < count; i++) {
        char *name = NULL;

        if (good && entries[i]->d_name[0] != '.')
            good = asprintf(&name, "%s/%s", path, entries[i]->d_name) >= 0 && replay(name);
        free(name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return good;
}

static bool replay_file(const char *path, size_t size)
{
    FILE    *file = fopen(path, "rb");
    uint8_t *data =
        malloc(size == 0 ? 1 : size); /* exact, so that a sanitizer sees one byte more */
    bool good = file != NULL && data != NULL && fread(data, 1, size, file) == size;

    if (good) {
        fprintf(stderr, "%s\n", path);
        LLVMFuzzerTestOneInput(data, size);
        replayed++;
    } else {
        perror(path);
    }
    free(data);
    if (file != NULL)
        fclose(file);
    return good;
}
