import { Button } from '@mantine/core';
import { useState } from 'react';
import { IconCheck, IconCopy } from './icons';

// Copies a text. Where the browser refuses (no HTTPS), it says so: the text can be selected by hand.
export function CopyButton({ text, label }: { text: string; label: string }) {
  const [state, setState] = useState<'ready' | 'done' | 'refused'>('ready');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setState('done');
    } catch {
      setState('refused');
    }
  };
  const words = { ready: label, done: 'Copied', refused: 'Copying was refused: select it by hand' }[state];
  return (
    <Button size="xs" variant="default" leftSection={state === 'done' ? <IconCheck size={14} /> : <IconCopy size={14} />} onClick={() => void copy()}>
      {words}
    </Button>
  );
}
