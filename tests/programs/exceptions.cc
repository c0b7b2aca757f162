/* C++ exceptions through tasks: with stack arguments, over two tasks, with destructors in between,
 * caught and thrown again; and calls that return in between. */
#include <stdexcept>
#include <string>

#include "body.h"

extern "C" {
EXPORTED_TASK(int may_throw(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j,
                            int k, double x))
{
    body_ran("may_throw");
    if (a < 0)
        throw std::runtime_error("negative " + std::to_string(a + k));
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k +
           static_cast<int>(x);
}

int outer(int a, double x);
}

/* What a body prints isn't replayed, so the destructor in a task writes to the log. */
struct Logged {
    ~Logged()
    {
        body_ran("~outer");
    }
};

extern "C" TASK_ATTRIBUTES int outer(int a, double x)
{
    Logged l;
    body_ran("outer");
    return may_throw(a, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, x) + 1;
}

struct Noisy {
    const char *name;
    ~Noisy()
    {
        std::printf("  ~%s\n", name);
    }
};

static void attempt(int a)
{
    try {
        Noisy n = {"attempt"};
        std::printf("outer %d\n", outer(a, 2.5));
    } catch (const std::exception &e) {
        std::printf("caught %s\n", e.what());
    }
}

static int nested(int a)
{
    try {
        return may_throw(a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5);
    } catch (...) {
        int v = may_throw(-a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0.5);
        std::printf("in handler %d\n", v);
        throw;
    }
}

int main()
{
    for (int i = 0; i < 3; i++) {
        attempt(1);
        attempt(-1);
        try {
            std::printf("nested %d\n", nested(i == 1 ? 3 : -3));
        } catch (const std::runtime_error &e) {
            std::printf("again %s\n", e.what());
        }
    }
    for (int i = 0; i < 1000; i++)
        try {
            may_throw(-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, i, 0);
            std::printf("returned?\n");
        } catch (const std::runtime_error &) {
        }
    std::printf("end %d\n", may_throw(7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1.0));
    return 0;
}
