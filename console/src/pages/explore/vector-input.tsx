import { Button, Textarea } from '@mantine/core';
import { randomVector } from '../../lib/vector';

// Of fields that hold numbers or JSON.
export const mono = { input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12.5 } };

// A vector as text; `problem` is what is wrong with it.
export function VectorInput(props: { dimension: number; text: string; problem?: string; onChange: (text: string) => void }) {
  return (
    <>
      <Textarea
        label="Vector"
        description={`${props.dimension} numbers, separated by commas or spaces`}
        value={props.text}
        onChange={(event) => props.onChange(event.currentTarget.value)}
        error={props.problem}
        rows={4}
        spellCheck={false}
        styles={mono}
      />
      <Button
        size="compact-xs"
        variant="subtle"
        style={{ alignSelf: 'flex-start' }}
        onClick={() => props.onChange(randomVector(props.dimension).join(', '))}
      >
        Fill with a random direction
      </Button>
    </>
  );
}
