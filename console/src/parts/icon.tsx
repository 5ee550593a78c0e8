/** Icons. Each has a text next to it, or in the button's label. */
const PATHS = {
  waiting: "M12 7v5l3 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18",
  running: "M7 5l11 7-11 7z",
  wrong: "M12 4L2.8 20h18.4zM12 10v4.5M12 17.2v.3",
  switches: "M8 7h12M4 7h.01M16 17h4M4 17h7M6 4.5v5M13.5 14.5v5",
  charts: "M4 4v16h16M8 15l3.5-4.5 3 2.5L20 7",
  audit: "M9.5 14.5l5-5M8 11l-2.2 2.2a3.6 3.6 0 0 0 5 5L13 16M16 13l2.2-2.2a3.6 3.6 0 0 0-5-5L11 8",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5L20 20",
  person: "M12 4.5a3.7 3.7 0 1 0 0 7.4 3.7 3.7 0 0 0 0-7.4M4.8 20c.6-3.8 3.3-5.8 7.2-5.8s6.600 2 7.200 5.800",
  auto: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 3v18M12 8h6.5M12 12h8.500M12 16h7",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M18.700 5.300l-1.400 1.400M6.700 17.300l-1.400 1.400",
  dark: "M20 14.500A8.500 8.500 0 0 1 9.500 4 8.500 8.500 0 1 0 20 14.500",
  check: "M5 12.500l4.500 4.500L19 7.500",
  cross: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v11H9zM5 15V4h10",
  refresh: "M19.500 8A8.200 8.200 0 1 0 20 13.500M20 4v4.500h-4.500",
  back: "M14.500 5.500L8 12l6.500 6.500",
  shield: "M12 3l7.500 3v5.500c0 4.500-3 8-7.500 9.500-4.500-1.500-7.500-5-7.500-9.500V6zM8.500 12l2.500 2.500 4.500-5",
  broken: "M12 3l7.500 3v5.500c0 4.500-3 8-7.500 9.500-4.500-1.500-7.500-5-7.500-9.500V6zM12 8v5M12 16v.300",
  empty: "M4 13l2.500-8h11L20 13v6H4zM4 13h5l1 2.500h4l1-2.500h5",
  keyboard: "M3 7h18v10H3zM7 10.500h.01M11 10.500h.01M15 10.500h.01M8 14h8",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7"
      stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
