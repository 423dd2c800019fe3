// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the list of all buffers in debugfs
 */

#include <linux/cgroup.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap-record.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/string_helpers.h>

#include "dma-heap-internal.h"

/**
 * struct buffers_reader - an open file that reads the list
 * @cursor: entry of the list without a dma-buf, before the next record to read, whose
 *	    number it has
 * @last: number of the newest buffer at the beginning; the read ends with it
 */
struct buffers_reader {
	struct dma_heap_record cursor;
	u64 last;
};

/*
 * The position is the number of a buffer: it stays true when others come and go between
 * two reads. The cursors of other readers are skipped.
 */
static struct list_head *buffers_find(struct buffers_reader *reader,
				      struct list_head *node, loff_t *pos)
{
	struct dma_heap_record *record;

	lockdep_assert_held(&dma_heap_buffers_lock);

	for (node = node->next; node != &dma_heap_buffers; node = node->next) {
		record = list_entry(node, struct dma_heap_record, node);
		if (!record->dmabuf || record->number < *pos)
			continue;
		if (record->number > reader->last)
			break;
		*pos = record->number;
		return node;
	}
	*pos = reader->last + 1;

	return NULL;
}

static void *buffers_seq_start(struct seq_file *seq, loff_t *pos)
{
	struct buffers_reader *reader = seq->private;
	struct dma_heap_record *cursor = &reader->cursor;

	spin_lock(&dma_heap_buffers_lock);
	if (!*pos) {
		reader->last = dma_heap_last_number;
		return &dma_heap_buffers;
	}
	/* The reader did not go on where it stopped: look from the beginning */
	if (*pos != cursor->number)
		list_move(&cursor->node, &dma_heap_buffers);

	return buffers_find(reader, &cursor->node, pos);
}

static void *buffers_seq_next(struct seq_file *seq, void *v, loff_t *pos)
{
	++*pos;

	return buffers_find(seq->private, v, pos);
}

static void buffers_seq_stop(struct seq_file *seq, void *v)
{
	struct buffers_reader *reader = seq->private;
	struct dma_heap_record *cursor = &reader->cursor, *next;

	if (v && v != &dma_heap_buffers) {
		next = list_entry(v, struct dma_heap_record, node);
		list_move_tail(&cursor->node, &next->node);
		cursor->number = next->number;
	} else {
		list_move_tail(&cursor->node, &dma_heap_buffers);
		cursor->number = reader->last + 1;
	}
	spin_unlock(&dma_heap_buffers_lock);
}

/* No column is empty and none has a blank, so blanks separate columns, too */
static void show_text(struct seq_file *seq, const char *text)
{
	seq_escape(seq, text && *text ? text : "-", " \t\n\\");
}

static void show_name(struct seq_file *seq, struct dma_buf *dmabuf)
{
	spin_lock(&dmabuf->name_lock);
	show_text(seq, dmabuf->name);
	spin_unlock(&dmabuf->name_lock);
}

#ifdef CONFIG_MEMCG
static void show_cgroup(struct seq_file *seq, struct obj_cgroup *objcg)
{
	/* Too large for the stack */
	static char path[PATH_MAX];

	lockdep_assert_held(&dma_heap_buffers_lock);

	strscpy(path, "-");
	if (objcg) {
		rcu_read_lock();
		cgroup_path(obj_cgroup_memcg(objcg)->css.cgroup, path,
			    sizeof(path));
		rcu_read_unlock();
	}
	seq_escape(seq, path, " \t\n\\");
}
#else
static void show_cgroup(struct seq_file *seq, struct obj_cgroup *objcg)
{
	seq_putc(seq, '-');
}
#endif

static int buffers_seq_show(struct seq_file *seq, void *v)
{
	struct dma_heap_record *record;
	u64 age;

	if (v == &dma_heap_buffers) {
		seq_puts(seq, "heap\tsize\tage_ms\tpid\timporters\tcpu\tcache\tinode\tcomm\tname\tcgroup\n");
		return 0;
	}

	record = list_entry(v, struct dma_heap_record, node);
	age = get_jiffies_64() - record->since;
	show_text(seq, dev_name(&record->heap->dev));
	seq_printf(seq, "\t%zu\t%llu\t%d\t", record->size,
		   jiffies64_to_msecs(age), record->pid);
	record->show(seq, record);
	seq_printf(seq, "%lu\t", record->ino);
	show_text(seq, record->comm);
	seq_putc(seq, '\t');
	show_name(seq, record->dmabuf);
	seq_putc(seq, '\t');
	show_cgroup(seq, record->objcg);
	seq_putc(seq, '\n');

	return 0;
}

static const struct seq_operations buffers_sops = {
	.start = buffers_seq_start,
	.next = buffers_seq_next,
	.stop = buffers_seq_stop,
	.show = buffers_seq_show,
};

static int buffers_open(struct inode *inode, struct file *file)
{
	struct buffers_reader *reader;

	reader = __seq_open_private(file, &buffers_sops, sizeof(*reader));
	if (!reader)
		return -ENOMEM;

	INIT_LIST_HEAD(&reader->cursor.node);

	return 0;
}

static int buffers_release(struct inode *inode, struct file *file)
{
	struct seq_file *seq = file->private_data;
	struct buffers_reader *reader = seq->private;

	spin_lock(&dma_heap_buffers_lock);
	list_del(&reader->cursor.node);
	spin_unlock(&dma_heap_buffers_lock);

	return seq_release_private(inode, file);
}

static const struct file_operations buffers_fops = {
	.owner = THIS_MODULE,
	.open = buffers_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = buffers_release,
};

void __init dma_heap_debugfs_init(void)
{
	debugfs_create_file("dma_heap_buffers", 0400, NULL, NULL,
			    &buffers_fops);
}
