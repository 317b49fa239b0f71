"""Attribution methods: one file each, one pure function each."""
