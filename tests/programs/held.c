/* Holds memory by descriptors only. held FILE: prints "NAME BYTES" (hexadecimal), then "ready". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#define MIB (1 << 20)

static char block[MIB];

static void fill(int file, int mebibytes)
{
	for (int i = 0; i < mebibytes; i++)
		if (write(file, block, MIB) != MIB)
			return;
}

int main(int argc, char **argv)
{
	int file, ends[2];
	char *shared;

	memset(block, 1, sizeof block);
	fill(memfd_create("held", 0), 8);
	printf("memfd %x\n", 8 * MIB);
	shared = mmap(NULL, 3 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(shared, 1, 3 * MIB);
	printf("shared_anon %x\n", 3 * MIB);
	file = memfd_create("mapped", 0);
	fill(file, 2);
	shared = mmap(NULL, MIB, PROT_READ, MAP_SHARED, file, 0); /* half of it, then closed */
	if (shared == MAP_FAILED || shared[5] != 1)
		return 1;
	close(file);
	printf("memfd %x\n", 2 * MIB);
	file = argc > 1 ? open(argv[1], O_RDWR | O_CREAT, 0600) : -1;
	if (file >= 0) {
		fill(file, 4);
		unlink(argv[1]);
		printf("deleted %x\n", 4 * MIB);
	}
	if (pipe(ends) == 0 && write(ends[1], block, 60000) == 60000)
		printf("pipes %x\n", 1);
	printf("ready\n");
	fflush(stdout);
	pause();
}
