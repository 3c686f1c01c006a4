/* sparse N: N bytes of address space of which a page in every 64 MiB is touched. Prints "ready". */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long size = argc > 1 ? atol(argv[1]) : 1L << 30;
	/* Where glibc would put its arenas: at a multiple of 64 MiB. */
	char *at = mmap((void *)0x100000000000, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *block = malloc(100000);

	if (at == MAP_FAILED || !block)
		return 1;
	madvise(at, size, MADV_NOHUGEPAGE);
	for (long i = 0; i < size; i += 64 << 20)
		at[i] = 1;
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
