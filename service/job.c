#include "service/job.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/clock.h"

#define MEMORY_BYTES (4ull << 30)

struct tc_job {
    struct tc_job *next;
    pid_t pid;
    int64_t deadline_ms;
    void (*done)(void *ctx, int status);
    void *ctx;
};

#define MAX_MAPPINGS 64

static void unmap_shared(void)
{
    struct {
        unsigned long from, to;
    } shared[MAX_MAPPINGS];
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], mode[8];
    size_t count = 0;

    if (maps == NULL)
        return;
    while (count < MAX_MAPPINGS && fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &shared[count].from, &shared[count].to, mode) == 3 &&
            mode[3] == 's')
            count++;
    }
    (void)fclose(maps);
    for (size_t i = 0; i < count; i++)
        (void)munmap((void *)shared[i].from, shared[i].to - shared[i].from); /* NOLINT */
}

static void close_all_but(int kept)
{
    if (kept < 3) {
        (void)close_range(3, ~0u, 0);
        return;
    }
    if (kept > 3)
        (void)close_range(3, (unsigned)kept - 1, 0);
    (void)close_range((unsigned)kept + 1, ~0u, 0);
}

static void limit(int what, uint64_t soft)
{
    struct rlimit l;

    if (getrlimit((__rlimit_resource_t)what, &l) < 0)
        return;
    if (l.rlim_max == RLIM_INFINITY || soft < l.rlim_max) {
        l.rlim_cur = soft;
        (void)setrlimit((__rlimit_resource_t)what, &l);
    }
}

static void confine(const struct tc_job_spec *spec, pid_t parent)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int s = 1; s < NSIG; s++) {
        if (s != SIGPIPE && s != SIGXFSZ)
            (void)sigaction(s, &usual, NULL);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    close_all_but(spec->keep_fd);
    unmap_shared();
    /* A sanitizer's shadow memory is larger than any limit. */
#ifndef TC_SANITIZED
    if (!spec->maps_files)
        limit(RLIMIT_AS, MEMORY_BYTES);
    limit(RLIMIT_DATA, spec->data_bytes != 0 ? spec->data_bytes : MEMORY_BYTES);
#endif
    limit(RLIMIT_CPU, spec->cpu_s);
    limit(RLIMIT_CORE, 0);
}

static pid_t spawn(const struct tc_job_spec *spec)
{
    pid_t parent = getpid(), pid = fork();
    int r;

    if (pid != 0)
        return pid;
    confine(spec, parent);
    r = spec->run(spec->arg);
    _exit(r < 0 ? (-r & 127 ? -r & 127 : 127) : 0);
}

/* What wait() says, as a negative errno. `run` returns numbers below 127. */
static int outcome(int status)
{
    if (WIFEXITED(status))
        return -WEXITSTATUS(status);
    return TC_JOB_CRASHED;
}

int tc_job_start(struct tc_jobs *jobs, const struct tc_job_spec *spec)
{
    struct tc_job *job = calloc(1, sizeof *job);

    if (job == NULL)
        return -ENOMEM;
    job->pid = spawn(spec);
    if (job->pid < 0) {
        free(job);
        return -EAGAIN;
    }
    if (spec->ret_pid != NULL)
        *spec->ret_pid = job->pid;
    job->deadline_ms = tc_monotonic_ms() + spec->wall_ms;
    job->done = spec->done;
    job->ctx = spec->ctx;
    job->next = jobs->first;
    jobs->first = job;
    return 0;
}

/* Takes the first job that ended out of the list. */
static struct tc_job *take_ended(struct tc_jobs *jobs, int *ret_status)
{
    int64_t now = tc_monotonic_ms();

    for (struct tc_job **at = &jobs->first; *at != NULL; at = &(*at)->next) {
        struct tc_job *job = *at;
        pid_t pid = waitpid(job->pid, ret_status, WNOHANG);

        if (pid == 0 && now >= job->deadline_ms)
            (void)kill(job->pid, SIGKILL); /* reaped in a later round */
        if (pid == 0 || (pid < 0 && errno == EINTR))
            continue;
        if (pid < 0)
            *ret_status = SIGKILL;
        *at = job->next;
        return job;
    }
    return NULL;
}

void tc_jobs_reap(struct tc_jobs *jobs)
{
    struct tc_job *job;
    int status;

    /* `done` may start new ones: the list is taken up anew each time. */
    while ((job = take_ended(jobs, &status)) != NULL) {
        job->done(job->ctx, outcome(status));
        free(job);
    }
}

void tc_jobs_forget(struct tc_jobs *jobs)
{
    struct tc_job *job;
    int status;

    while ((job = take_ended(jobs, &status)) != NULL)
        free(job);
}

int tc_jobs_running(const struct tc_jobs *jobs)
{
    return jobs->first != NULL;
}

void tc_jobs_kill(struct tc_jobs *jobs)
{
    while (jobs->first != NULL) {
        struct tc_job *job = jobs->first;
        int status;

        jobs->first = job->next;
        (void)kill(job->pid, SIGKILL);
        (void)waitpid(job->pid, &status, 0);
        free(job);
    }
}

int tc_job_run(const struct tc_job_spec *spec)
{
    int64_t deadline = tc_monotonic_ms() + spec->wall_ms;
    pid_t pid = spawn(spec);
    int status;

    if (pid < 0)
        return -EAGAIN;
    for (;;) {
        pid_t ended = waitpid(pid, &status, WNOHANG);

        if (ended == pid)
            return outcome(status);
        if (ended < 0 && errno != EINTR)
            return -ECHILD;
        if (tc_monotonic_ms() >= deadline)
            (void)kill(pid, SIGKILL);
        (void)usleep(1000);
    }
}
