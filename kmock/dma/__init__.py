"""DMA: mappings, bounce buffers, caches that are not coherent, and the device as bus master (``kernel/dma/``)."""
