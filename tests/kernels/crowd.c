/*
 * crowd: the processes of a scene.
 *
 * Reads lines of steps from standard input and starts one process for each
 * line, which takes the steps in order and then holds what it has. When a
 * line's process is ready its pid is printed. Sizes are in KiB.
 *
 *   name=TEXT       the process's name; ~ stands for a blank
 *   cgroup=DIR      join the cgroup
 *   adj=N           set oom_score_adj
 *   user=N          become another user
 *   cpu=N           run on that CPU from now on (-1: on any), which decides
 *                   the per-CPU counter that the next pages go to
 *   anon=N shmem=N  touch memory of one's own, or shared
 *   file=N:PATH     map and read a file
 *   out=N           touch memory, then have it swapped out
 *   tables=N        touch one page for each of N page tables
 *   bind=NODE       take memory from that NUMA node only
 *   lock            keep in memory all that follows
 *   threads=N       start idle threads
 *   leaderless      end the main thread, leave the others
 *   kids=N          fork idle children, which inherit all so far
 *   sharer=TEXT     start a process of that name in the same memory
 *   vfork=TEXT      the same, and wait for it for ever as vfork does
 *   grow=STEP:KILLS:MAX  on SIGUSR1 touch STEP after STEP until the kernel's
 *                   OOM killer has struck KILLS times, or up to MAX; then end
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#define KIB 1024L
#define PAGE 4096L
#define TABLE_SPAN (2L << 20) /* what one last-level page table maps */
#define PAUSE_AFTER_KILL 500000 /* microseconds: ten reports in 5 s are printed, no more */

static int ready_fd;

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

static void tell_ready(void)
{
	if (write(ready_fd, "r", 1) != 1)
		_exit(1);
}

static void sleep_for_ever(void)
{
	for (;;)
		pause();
}

static char *map(long bytes, int flags, int fd)
{
	int access = fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ;
	char *start = mmap(NULL, bytes, access, flags, fd, 0);

	if (start == MAP_FAILED)
		fail("mmap");
	return start;
}

static char *touch(long bytes, int flags)
{
	char *start = map(bytes, flags | MAP_ANONYMOUS, -1);

	for (long i = 0; i < bytes; i += PAGE)
		start[i] = 1;
	return start;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path);
	close(fd);
}

static void join(const char *directory)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	put(path, "0");
}

static void read_file(long bytes, const char *path)
{
	int fd = open(path, O_RDONLY);
	volatile char *start;

	if (fd < 0)
		fail(path);
	start = map(bytes, MAP_SHARED, fd);
	close(fd);
	for (long i = 0; i < bytes; i += PAGE)
		(void)start[i];
}

static void sparse(long tables)
{
	char *start = map(tables * TABLE_SPAN, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	madvise(start, tables * TABLE_SPAN, MADV_NOHUGEPAGE);
	for (long i = 0; i < tables; i++)
		start[i * TABLE_SPAN] = 1;
}

static void on_cpu(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < 64; i++)
		if (cpu < 0 || cpu == i)
			CPU_SET(i, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("sched_setaffinity");
}

static void bind_to(long node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_set_mempolicy, 2 /* MPOL_BIND */, &mask, 64))
		fail("set_mempolicy");
}

static void *thread(void *unused)
{
	sleep_for_ever();
	return unused;
}

static void start_threads(long count)
{
	pthread_attr_t small;
	pthread_t id;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 * KIB);
	while (count--)
		if (pthread_create(&id, &small, thread, NULL))
			fail("pthread_create");
}

static void fork_kids(long count)
{
	while (count--)
		if (!fork())
			sleep_for_ever();
}

static void set_name(char *name)
{
	for (char *c = name; *c; c++)
		if (*c == '~')
			*c = ' ';
	prctl(PR_SET_NAME, name);
}

static int idle_sharer(void *name)
{
	set_name(name);
	tell_ready();
	sleep_for_ever();
	return 0;
}

/* Starts a process in this one's memory and returns when it is there. */
static void share(char *name, int flags)
{
	char *stack = map(64 * KIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (clone(idle_sharer, stack + 64 * KIB, CLONE_VM | SIGCHLD | flags, name) < 0)
		fail("clone");
}

static long oom_kills(void)
{
	static char text[1 << 15];
	int fd = open("/proc/vmstat", O_RDONLY);
	long length = read(fd, text, sizeof(text) - 1);
	char *found;

	close(fd);
	text[length > 0 ? length : 0] = 0;
	found = strstr(text, "\noom_kill ");
	return found ? atol(found + 10) : 0;
}

static void grow(char *value)
{
	long step = 0, kills = 0, limit = 0, before;
	sigset_t set;
	int signal;

	sscanf(value, "%ld:%ld:%ld", &step, &kills, &limit);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	before = oom_kills();
	tell_ready();
	sigwait(&set, &signal);
	before = oom_kills();
	for (long done = 0; done < limit && kills > 0; done += step) {
		touch(step * KIB, MAP_PRIVATE);
		if (oom_kills() != before) {
			kills--;
			usleep(PAUSE_AFTER_KILL);
			before = oom_kills();
		}
	}
	_exit(0);
}

static void take(const char *step, char *value)
{
	long n = value ? atol(value) : 0;

#define IS(name) (!strcmp(step, name))
	if (IS("name")) {
		set_name(value);
	} else if (IS("cgroup")) {
		join(value);
	} else if (IS("adj")) {
		put("/proc/self/oom_score_adj", value);
	} else if (IS("user")) {
		if (setgroups(0, NULL) || setgid(n) || setuid(n))
			fail("setuid");
	} else if (IS("cpu")) {
		on_cpu(n);
	} else if (IS("anon")) {
		touch(n * KIB, MAP_PRIVATE);
	} else if (IS("shmem")) {
		touch(n * KIB, MAP_SHARED);
	} else if (IS("file")) {
		read_file(n * KIB, strchr(value, ':') + 1);
	} else if (IS("out")) {
		madvise(touch(n * KIB, MAP_PRIVATE), n * KIB, MADV_PAGEOUT);
	} else if (IS("tables")) {
		sparse(n);
	} else if (IS("bind")) {
		bind_to(n);
	} else if (IS("lock")) {
		mlockall(MCL_CURRENT | MCL_FUTURE);
	} else if (IS("threads")) {
		start_threads(n);
	} else if (IS("kids")) {
		fork_kids(n);
	} else if (IS("sharer")) {
		share(value, 0);
		sleep_for_ever();
	} else if (IS("vfork")) {
		share(value, CLONE_VFORK);
	} else if (IS("grow")) {
		grow(value);
	} else {
		fprintf(stderr, "crowd: no step %s\n", step);
		_exit(2);
	}
}

static void live(char *line)
{
	int leaderless = 0;
	char *rest = NULL;

	for (char *step = strtok_r(line, " \n", &rest); step; step = strtok_r(NULL, " \n", &rest)) {
		char *value = strchr(step, '=');

		if (value)
			*value++ = 0;
		if (!strcmp(step, "leaderless"))
			leaderless = 1;
		else
			take(step, value);
	}
	tell_ready();
	if (leaderless)
		syscall(SYS_exit, 0);
	sleep_for_ever();
}

/* Starts a line's process; returns its pid, or -1 if it did not get ready. */
static pid_t start(char *line)
{
	int fds[2], null;
	char byte;
	pid_t pid;

	if (pipe(fds) || (pid = fork()) < 0)
		fail("fork");
	if (!pid) {
		ready_fd = fds[1];
		close(fds[0]);
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		close(null);
		setsid();
		put("/proc/self/oom_score_adj", "0"); /* who starts us is protected */
		live(line);
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		pid = -1;
	close(fds[0]);
	return pid;
}

int main(void)
{
	static char line[1024];

	/* Nobody waits for these processes but the machine's init. */
	signal(SIGCHLD, SIG_IGN);
	while (fgets(line, sizeof(line), stdin)) {
		printf("%d\n", start(line));
		fflush(stdout);
	}
	return 0;
}
