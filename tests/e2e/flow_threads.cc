/*
 * Threads that are made inside of flows, and what they call there: `flow_threads SCENARIO`. `which`
 * is a task of RUN_ID and FLOW_PARAMETERS: who runs in one flow call shares its results.
 */
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include "body.h"
}

static std::atomic<int> total;

extern "C" TASK_ATTRIBUTES int which(int x)
{
    body_ran("which");
    return x + 1;
}

static std::string scenario;
static std::thread survivor;
static std::atomic<int> released, strangers;

static void call(int)
{
    total += which(1);
}

/* Its pthread_t lies in memory that the thread itself gives back. */
struct job {
    pthread_t thread;
};

static void *run_job(void *p)
{
    delete static_cast<job *>(p);
    call(0);
    return nullptr;
}

static void *run_pthread(void *)
{
    call(0);
    return nullptr;
}

extern "C" TASK_ATTRIBUTES int flow(int n)
{
    if (scenario == "threads") {
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; i++)
            threads.emplace_back(call, i);
        for (std::thread &t : threads)
            t.join();
    } else if (scenario == "nested") {
        std::thread([] { std::thread([] { std::thread(call, 0).join(); }).join(); }).join();
    } else if (scenario == "one-variable") {
        for (int i = 0; i < 200; i++) {
            pthread_t t;
            pthread_create(&t, nullptr, run_pthread, nullptr);
            pthread_join(t, nullptr);
        }
    } else if (scenario == "jobs") {
        for (int i = 0; i < 50; i++) {
            job *j = new job;
            int before = total;
            pthread_attr_t detached;
            pthread_attr_init(&detached);
            pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
            pthread_create(&j->thread, &detached, run_job, j);
            while (total == before)
                usleep(100);
        }
    } else if (scenario == "outlives") {
        survivor = std::thread([] {
            call(0);
            while (!released)
                usleep(1000);
            call(0);
            call(0);
        });
        while (total == 0)
            usleep(100);
    } else if (scenario == "makers") {
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; i++)
            threads.emplace_back([n] { strangers += which(n) != n + 1; });
        for (std::thread &t : threads)
            t.join();
    } else if (scenario == "own-flow") {
        if (n < 10)
            std::thread([n] { flow(n + 100); }).join();
        call(0);
    }
    return n;
}

int main(int argc, char **argv)
{
    scenario = argc > 1 ? argv[1] : "";
    if (scenario == "makers") {
        std::vector<std::thread> makers;
        for (int i = 0; i < 6; i++)
            makers.emplace_back([i] {
                for (int k = 0; k < 40; k++)
                    flow(i * 1000 + k);
            });
        for (std::thread &t : makers)
            t.join();
        printf("makers: %d\n", strangers.load());
        return 0;
    }
    flow(1);
    released = 1;
    if (survivor.joinable())
        survivor.join();
    if (scenario == "outside") {
        for (int i = 0; i < 5; i++)
            std::thread(call, 0).join();
        call(0);
    } else if (scenario != "outlives") {
        flow(1);
    }
    printf("%s: %d\n", scenario.c_str(), total.load());
    return 0;
}
