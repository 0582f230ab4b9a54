// Package journal is the durable record of a recording: an append-only log of
// exchanges, written beside the traffic and never in its way.
//
// A [Writer] opens a [Tape] for each exchange ([Writer.Begin]); what the
// recorder learns of it is put on the tape in the order in which it happened
// ([Tape.Head], [Tape.Feed], [Tape.End]). These calls copy what they are given
// and return; one goroutine, [Writer.Run], owns the files. A [Reader] yields
// exchanges whole. The package knows nothing of HTTP or of models: bodies are
// opaque, and whatever is secret was taken out before it came here.
//
// # What survives
//
//   - Everything that was fed before a [Writer.Sync] that returned nil survives
//     kill -9 and power loss, on a disk whose fsync tells the truth.
//   - Without Sync, kill -9 costs what was fed in the last fifth of
//     Config.SyncEvery (8 ms), and a power cut what was fed in the last SyncEvery
//     (40 ms) and during the fsync then in flight. An exchange that was cut off
//     is read up to there, with Finished false.
//   - A torn write hurts only the end of a run's last segment: records never
//     cross segments, a segment is never opened again to append, and every frame
//     has a CRC-32C. Readers stop at a torn tail in silence; the next writer, or
//     [Repair], cuts it. A frame is torn only if nothing says that it was
//     durable: segments note from time to time how much of them is, and damage
//     before such a mark is a [CorruptError] with the segment and the offset.
//   - Damage in one segment leaves every other readable, for segments share
//     nothing. Of the damaged one, what stands before the damage is read. Repair
//     keeps that and renames the file as it was; it never removes one.
//   - When the disk is full or slow, memory stays within Config.Budget and no
//     call waits. An exchange for which there is no room is kept up to there and
//     marked ([Exchange.Loss]); those that find no room to begin are counted
//     ([Gap]). [Writer.Stats], [Writer.Err] and Config.Notify tell while it
//     lasts. A write that was refused is taken back and tried again until there
//     is room; what was written before stays whole. After a refused fsync the
//     segment is given up, for the system may have dropped what it could not
//     write: open exchanges are marked and go on in a new one, and those that
//     ended since the last fsync may have lost their end.
//   - Segments get their compressed form, and lose a forgotten session
//     ([Forget]), by a new file that is synced before it takes the old one's
//     place.
//
// # Files
//
// A journal is a directory (mode 0700, files 0600) with one writer at a time:
//
//	LOCK                    locked while a writer, Repair or Forget is at work
//	journal.key             the journal's id and the key of its wire hashes; see [Writer.WireHash]
//	00000001.zseg           closed segment, compressed
//	00000002.seg            segment being written, or left by a crash
//	00000001.zseg.corrupt   what Repair set aside
//
// A segment is a header and frames. Of a body, or a head, it holds runs: new
// bytes, and copies of earlier bodies of the same segment, which a rolling hash
// finds wherever they stand. Its first exchange is stored whole and the rest as
// what is new in them, so a segment is read from its beginning, and memory for
// one segment is what is new in it. A segment ends when it is large, old, or
// needs much memory ([Config]). An exchange that is open then goes on in the
// next one, under a frame that repeats its flow and says how many bytes came
// before; the reader joins the parts.
//
// # Encryption
//
// With Config.Recipients every segment has an AES-256 key of its own, wrapped
// for them by age in its header, and frames are sealed with AES-GCM: the nonce
// is the frame's number, so frames cannot be altered, moved or removed from the
// middle. That a segment lost its end is not proven. Lengths and types of frames stay visible, and
// so does journal.key. A segment that a crash left raw stays uncompressed: its
// key died with its writer, which had no identity to read it back with.
package journal
