/*
 * Being a service that came out of any process: whatever the starter had (session, descriptors,
 * signals, limits, environment, working directory) is put in order before anything else runs. One
 * thread, at start only.
 */
#ifndef TC_SERVICE_DAEMON_H
#define TC_SERVICE_DAEMON_H

/* Executes the program anew when the loader was told to load foreign code into it. Returns if there
 * is nothing to do or if it can't be done. */
void tc_daemon_shed_preloads(char **argv);

/* Signal dispositions and mask, umask, limits, environment, and all descriptors but stdio and
 * `keep_fd` (-1: none). Closed stdio descriptors become /dev/null. */
void tc_daemon_clean(int keep_fd);

/* Leaves session and working directory: returns in a new process that is nobody's child. The first
 * process waits, with `wait_for` set, for the line that comes through the pipe (*ret_ready_fd is
 * its other end) and ends; without, it ends at once. */
void tc_daemon_detach(int wait_for, int *ret_ready_fd);

/* stdin, stdout, stderr become /dev/null. */
void tc_daemon_silence(void);

#endif
