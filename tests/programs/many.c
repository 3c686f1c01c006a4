/* many N: N mappings, half of them a touched page each. Prints "ready". */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 1000, page = sysconf(_SC_PAGESIZE);
	char *base = mmap(NULL, n * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return 1;
	for (long i = 0; i < n; i += 2) {
		if (mprotect(base + i * page, page, PROT_READ | PROT_WRITE))
			return 1;
		base[i * page] = 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
