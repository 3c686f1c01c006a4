"""Questions asked of snapshots with the kernel's rules; pure."""
