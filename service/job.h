/*
 * Work that may crash, hang or take time runs in a forked child: it has no descriptors but stdio
 * and the one that it is given, no shared mapping (neither the store's lock file nor the shared
 * page, which a wild pointer could damage), bounded memory and time, and dies with the service.
 *
 * tc_job_start() returns 0 or a negative errno. The end is told through `done`, from
 * tc_jobs_reap(): 0, the negative errno that `run` returned, or TC_JOB_CRASHED. One thread.
 */
#ifndef TC_SERVICE_JOB_H
#define TC_SERVICE_JOB_H

#include <errno.h>
#include <stdint.h>
#include <sys/types.h>

#define TC_JOB_CRASHED (-ENOTRECOVERABLE) /* a signal, or the deadline */

struct tc_job_spec {
    int (*run)(void *arg); /* in the child; allocates as it likes, is never freed */
    void *arg;
    void (*done)(void *ctx, int status);
    void *ctx;
    int keep_fd; /* -1: none */
    unsigned cpu_s, wall_ms;
    int maps_files;      /* larger ones than the limit on address space allows */
    uint64_t data_bytes; /* of its own, beside what it maps of files; 0: 4 GiB */
    pid_t *ret_pid;      /* NULL */
};

struct tc_jobs {
    struct tc_job *first;
};

int tc_job_start(struct tc_jobs *jobs, const struct tc_job_spec *spec);

/* Tells the ends of those that ended, and kills those that are over their time. */
void tc_jobs_reap(struct tc_jobs *jobs);
/* The same without a word. */
void tc_jobs_forget(struct tc_jobs *jobs);
int tc_jobs_running(const struct tc_jobs *jobs);
void tc_jobs_kill(struct tc_jobs *jobs);

/* Before there is a loop: runs a job and waits for its end. `done` isn't called. */
int tc_job_run(const struct tc_job_spec *spec);

#endif
