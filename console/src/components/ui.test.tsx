import { MantineProvider } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors';
import { ConfirmByName } from './dialogs';
import { Loaded } from './ui';

afterEach(cleanup);

const shown = (query: Partial<UseQueryResult<string, Error>>) =>
  render(
    <MantineProvider env="test">
      <Loaded query={query as UseQueryResult<string, Error>}>{(data) => <p>{data}</p>}</Loaded>
    </MantineProvider>,
  );

describe('what is loaded', () => {
  it('is announced while it is on its way', () => {
    shown({ data: undefined, error: null });
    expect(screen.getByRole('status', { name: 'Loading' })).toBeTruthy();
  });

  it('stays on screen when a later refresh fails', () => {
    shown({ data: 'figures', error: new ApiError(0, 14, 'gone') });
    expect(screen.getByText('figures')).toBeTruthy();
  });

  it('can be asked for again after a failure that may pass', () => {
    const refetch = vi.fn();
    shown({ data: undefined, error: new ApiError(503, 14, 'the leader is being chosen'), refetch });
    expect(screen.getByRole('alert').textContent).toContain('the leader is being chosen');
    fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(refetch).toHaveBeenCalledOnce();
  });

  it('says who may see it to those who may not', () => {
    shown({ data: undefined, error: new ApiError(403, 7, 'no') });
    expect(screen.getByRole('alert').textContent).toContain('You do not have the right');
    expect(screen.queryByRole('button')).toBeNull();
  });
});

it('destroys nothing before its name is typed', () => {
  const onConfirm = vi.fn();
  render(
    <MantineProvider env="test">
      <ConfirmByName opened title="Delete" name="docs" act="Delete for good" busy={false} onClose={() => {}} onConfirm={onConfirm}>
        gone
      </ConfirmByName>
    </MantineProvider>,
  );
  const button = screen.getByRole<HTMLButtonElement>('button', { name: 'Delete for good' });
  const input = screen.getByRole('textbox');
  fireEvent.change(input, { target: { value: 'doc' } });
  expect(button.disabled).toBe(true);
  fireEvent.submit(input);
  expect(onConfirm).not.toHaveBeenCalled();
  fireEvent.change(input, { target: { value: 'docs' } });
  fireEvent.submit(input);
  expect(onConfirm).toHaveBeenCalledOnce();
});
