/* Tasks in a library that comes and goes: opened, closed, opened again, two copies at once, deep
 * binding, a namespace of its own. Argument: the library; default libtask.so beside the program. */
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>

#include "body.h"

static void use(void *handle, const char *what, int x)
{
    int (*task)(int) = NULL, (*inside)(int) = NULL;
    const int *sum = NULL;

    if (handle == NULL) {
        printf("%s: %s\n", what, dlerror());
        return;
    }
    *(void **)&task = dlsym(handle, "lib_task");
    *(void **)&inside = dlsym(handle, "lib_inside");
    sum = dlsym(handle, "lib_sum");
    if (task == NULL || inside == NULL || sum == NULL)
        exit(1);
    printf("%s: %d %d %d, constructor %d\n", what, task(x), task(x), inside(x + 1), *sum);
}

static void copy_file(const char *from, const char *to)
{
    char buffer[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t n = 0;

    if (in == NULL || out == NULL)
        exit(1);
    while ((n = fread(buffer, 1, sizeof buffer, in)) > 0)
        if (fwrite(buffer, 1, n, out) != n)
            exit(1);
    (void)fclose(in);
    if (fclose(out) != 0)
        exit(1);
}

static void two_copies(const char *path)
{
    char dir[] = "/tmp/dlopen_task-XXXXXX", copy[64];
    void *first = NULL, *second = NULL;

    if (mkdtemp(dir) == NULL)
        exit(1);
    (void)snprintf(copy, sizeof copy, "%s/libtask.so", dir);
    copy_file(path, copy);
    first = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    second = dlopen(copy, RTLD_NOW | RTLD_LOCAL);
    use(first, "first copy", 5);
    use(second, "second copy", 5);
    if (first == NULL || dlclose(first) != 0)
        exit(1);
    use(second, "second copy", 6);
    if (second == NULL || dlclose(second) != 0)
        exit(1);
    (void)unlink(copy);
    (void)rmdir(dir);
}

int main(int argc, char **argv)
{
    char self[PATH_MAX] = "", path[PATH_MAX + 16];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    void *handle = NULL;

    if (argc > 1)
        (void)snprintf(path, sizeof path, "%s", argv[1]);
    else
        (void)snprintf(path, sizeof path, "%s/libtask.so", n > 0 ? dirname(self) : ".");
    for (int i = 0; i < 20; i++) {
        handle = dlopen(path, i % 2 ? RTLD_NOW : RTLD_LAZY);
        use(handle, "opened", i % 3);
        if (handle == NULL || dlclose(handle) != 0)
            return 1;
    }
    two_copies(path);
    use(dlopen(path, RTLD_NOW | RTLD_DEEPBIND), "deep", 7);
    use(dlmopen(LM_ID_NEWLM, path, RTLD_NOW), "namespace", 8);
    return 0;
}
