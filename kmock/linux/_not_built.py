"""Names of the kernel's headers that kmock knows and does not offer yet.

What a header comes to define is found there before anybody asks here.
"""

from __future__ import annotations

from typing import Final

from kmock.errors import NotBuiltError

NOT_BUILT: Final = {
    "dma_mapping": """
        dma_mmap_noncontiguous dma_mmap_pages
    """,
    "fs": """
        __generic_file_write_iter device_driver_mmap filemap_fdatawait filemap_fdatawait_range filemap_flush
        generic_file_aio_read generic_file_aio_write generic_file_read_iter
    """,
    "mm": """
        invalidate_inode_pages2 invalidate_inode_pages2_range invalidate_mapping_pages
        truncate_inode_pages_final truncate_inode_pages_range
        vmtruncate write_one_page
    """,
    "page_flags": """
        set_page_writeback
    """,
    "pagemap": """
        __lock_page add_page_wait_queue add_to_page_cache_locked add_to_page_cache_lru clear_page_dirty_for_io
        delete_from_page_cache end_page_writeback find_get_page find_get_pages_contig find_get_pages_tag
        find_lock_page find_or_create_page grab_cache_page_nowait page_cache_async_readahead
        page_cache_sync_readahead pagecache_get_page read_cache_page read_cache_page_async read_cache_page_gfp
        read_cache_pages replace_page_cache_page try_to_release_page wait_on_page_locked
        wait_on_page_writeback
    """,
    "proc_fs": """
        proc_create remove_proc_entry
    """,
    "rbtree": """
        rb_erase rb_insert_color rb_node rb_root
    """,
    "seq_file": """
        seq_file seq_printf seq_read single_open
    """,
    "vmalloc": """
        IOREMAP_MAX_ORDER VM_ALLOC VM_ALLOW_HUGE_VMAP VM_DEFER_KMEMLEAK VM_DMA_COHERENT VM_FLUSH_RESET_PERMS
        VM_IOREMAP VM_KASAN VM_MAP VM_MAP_PUT_PAGES VM_NO_GUARD VM_UNINITIALIZED VM_UNLIST VM_USERMAP
        VM_VPAGES __get_vm_area __get_vm_area_caller __vmalloc_node __vmalloc_node_range alloc_vm_area
        find_vm_area free_vm_area get_vm_area get_vm_area_caller get_vm_area_size map_kernel_range_noflush
        map_vm_area pcpu_free_vm_areas pcpu_get_vm_areas
        remove_vm_area unmap_kernel_range unmap_kernel_range_noflush vfree_atomic vm_area_add_early
        vm_area_register_early vm_map_ram vm_struct vm_unmap_aliases vm_unmap_ram vmalloc_32 vmalloc_32_user
        vmalloc_array vmalloc_exec vmalloc_huge vmalloc_init vmalloc_sync_all vmalloc_user vmap vmlist
        vmlist_lock vread vunmap vwrite
    """,
    "writeback": """
        balance_dirty_pages_ratelimited balance_dirty_pages_ratelimited_nr generic_writepages
        tag_pages_for_writeback write_cache_pages
    """,
}
"""By header module."""


class NotBuiltHeaders:
    """Finds no module; asked last, it says of a header without one that kmock knows it."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> None:
        """Raise NotBuiltError for a header that is known and not built."""
        name = fullname.removeprefix("kmock.linux.")
        if name != fullname and name in NOT_BUILT:
            raise NotBuiltError(f"<linux/{name.replace('.', '/')}.h> is not built yet in kmock")


def known(module_name: str, name: str) -> bool:
    """Whether the header that the module stands for has ``name``, and kmock does not offer it yet."""
    return name in NOT_BUILT.get(module_name.removeprefix("kmock.linux."), "").split()
