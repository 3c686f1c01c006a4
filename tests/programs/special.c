/* Memory of special kinds: transparent huge pages, hugetlb pages, locked pages.
   Prints "NAME SIZE" in bytes (hexadecimal) for what it got, then "ready". */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1 << 20)
#define HUGE_PAGE (2 * MIB)

/* An aligned mapping: huge pages begin at multiples of their size. */
static char *aligned(size_t size, int flags)
{
	char *at = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	return (char *)(((uintptr_t)at + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
}

int main(void)
{
	char *at = aligned(8 * MIB, MAP_PRIVATE);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (madvise(at, 8 * MIB, MADV_HUGEPAGE) == 0) {
		memset(at, 1, 8 * MIB);
		printf("anon_huge %x\n", 8 * MIB);
	}
	at = aligned(4 * MIB, MAP_SHARED);
	if (madvise(at, 4 * MIB, MADV_HUGEPAGE) == 0) {
		memset(at, 1, 4 * MIB);
		printf("shmem_huge %x\n", 4 * MIB);
	}
	at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(at, MIB, MADV_NOHUGEPAGE);
	if (mlock(at, MIB) == 0)
		printf("locked %x\n", MIB);
	at = mmap(NULL, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (at != MAP_FAILED) {
		memset(at, 1, 2 * HUGE_PAGE);
		printf("private_hugetlb %x\n", 2 * HUGE_PAGE);
	}
	printf("ready\n");
	fflush(stdout);
	pause();
}
