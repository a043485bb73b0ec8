// The console's places.
import type { ComponentType } from 'react';
import {
  IconApi,
  IconCollections,
  IconExplore,
  IconGateway,
  IconHealth,
  IconKey,
  IconOverview,
  IconPlacement,
  IconProfile,
  IconRanking,
  IconUsers,
  IconWorkers,
} from '../components/icons';

export interface Place {
  to: string;
  label: string;
  icon: ComponentType<{ size?: number }>;
  admin?: boolean; // only administrators
  account?: boolean; // only where people sign in
}

export const places: { label: string; items: Place[] }[] = [
  {
    label: 'Data',
    items: [
      { to: '/', label: 'Overview', icon: IconOverview },
      { to: '/collections', label: 'Collections', icon: IconCollections },
      { to: '/explore', label: 'Explore', icon: IconExplore },
      { to: '/ranking', label: 'Reranking', icon: IconRanking, admin: true },
    ],
  },
  {
    label: 'Cluster',
    items: [
      { to: '/health', label: 'System health', icon: IconHealth },
      { to: '/gateway', label: 'Gateway', icon: IconGateway, admin: true },
      { to: '/workers', label: 'Workers', icon: IconWorkers, admin: true },
      { to: '/placement', label: 'Placement', icon: IconPlacement, admin: true },
    ],
  },
  {
    label: 'Access',
    items: [
      { to: '/keys', label: 'API keys', icon: IconKey, account: true },
      { to: '/users', label: 'Users', icon: IconUsers, admin: true, account: true },
      { to: '/profile', label: 'Profile', icon: IconProfile, account: true },
      { to: '/api', label: 'API reference', icon: IconApi },
    ],
  },
];
