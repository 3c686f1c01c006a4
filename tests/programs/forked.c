/* forked PRIVATE SHARED WRITTEN: MiB of private and of shared memory, all touched; then a child
 * that writes WRITTEN MiB of the private memory (its own copies) and stays when its parent dies.
 * Prints "child PID" (hexadecimal) and "ready". */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t mib = 1 << 20, private = argc > 1 ? atoi(argv[1]) * mib : 0;
	size_t shared = argc > 2 ? atoi(argv[2]) * mib : 0, written = argc > 3 ? atoi(argv[3]) * mib : 0;
	char *own, *common;
	int pipes[2];
	pid_t child;
	char done;

	own = mmap(NULL, private + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	common = mmap(NULL, shared + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (own == MAP_FAILED || common == MAP_FAILED || pipe(pipes))
		return 1;
	madvise(own, private + 1, MADV_NOHUGEPAGE);
	memset(own, 1, private);
	memset(common, 1, shared);
	if (argc > 3) {
		child = fork();
		if (child == 0) {
			memset(own, 2, written);
			if (write(pipes[1], "", 1) != 1)
				return 1;
			for (;;)
				pause();
		}
		if (read(pipes[0], &done, 1) != 1)
			return 1;
		printf("child %x\n", child);
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
