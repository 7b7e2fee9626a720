import type { FrameSink } from '../../../src/http/http2/frame-reader.ts';

/** Writes down what a reader tells; pieces of one DATA frame as one. */
export class RecordingSink implements FrameSink {
  readonly events: string[] = [];
  stopped = false;
  /** The begin of an event with which the connection ends. */
  stopsAfter = 'error';
  private body = '';

  private note(event: string): void {
    if (this.stopped) throw new Error(`${event} after the end`);
    this.events.push(event);
    if (event.startsWith(this.stopsAfter)) this.stopped = true;
  }
  onDataFrame(streamId: number, length: number, bytes: number, endStream: boolean): void {
    this.body = '';
    this.note(`data ${streamId} ${length} ${bytes} ${endStream}`);
  }
  onDataBytes(buffer: Buffer, start: number, end: number): void {
    if (end <= start) throw new Error('a piece without bytes');
    if (this.stopped) throw new Error('bytes after the end');
    this.body += buffer.latin1Slice(start, end);
    if (`bytes ${this.body.length}`.startsWith(this.stopsAfter)) this.stopped = true;
  }
  onDataFrameEnd(): void {
    this.note(`data end ${this.body}`);
  }
  onHeaderBlock(streamId: number, endStream: boolean, buffer: Buffer, start: number, end: number): void {
    this.note(`headers ${streamId} ${endStream} ${buffer.latin1Slice(start, end)}`);
  }
  onPriority(streamId: number, dependsOn: number): void {
    this.note(`priority ${streamId} ${dependsOn}`);
  }
  onResetStream(streamId: number, code: number): void {
    this.note(`reset ${streamId} ${code}`);
  }
  onSettings(buffer: Buffer, start: number, end: number): void {
    this.note(`settings ${buffer.toString('hex', start, end)}`);
  }
  onSettingsAck(): void {
    this.note('settings ack');
  }
  onPing(ack: boolean, buffer: Buffer, start: number): void {
    this.note(`ping ${ack} ${buffer.latin1Slice(start, start + 8)}`);
  }
  onGoAway(lastStreamId: number, code: number, debug: string): void {
    this.note(`goaway ${lastStreamId} ${code} ${debug}`);
  }
  onWindowUpdate(streamId: number, increment: number): void {
    this.note(`window ${streamId} ${increment}`);
  }
  onPushPromise(): void {
    this.note('push');
  }
  onEmptyFrame(endStream: boolean): void {
    this.note(`empty ${endStream}`);
  }
  onHeaderBlockOpen(isOpen: boolean): void {
    this.note(`block ${isOpen}`);
  }
  onConnectionError(code: number, details: string): void {
    this.note(`error ${code} ${details}`);
  }
  onStreamError(streamId: number, code: number, details: string): void {
    this.note(`stream error ${streamId} ${code} ${details}`);
  }
}
