/* Two processes on one memory map: prints their pids, and waits. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static char stack[65536];

static int idle(void *unused)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

int main(void)
{
	int pid = clone(idle, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);

	if (pid < 0) {
		perror("clone");
		return 1;
	}
	printf("%d %d\n", getpid(), pid);
	fflush(stdout);
	for (;;)
		pause();
}
