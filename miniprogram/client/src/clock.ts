// The service's clock, as far as the phone has seen it.

/** Time and timers of the phone; the real ones unless a test drives them. */
export interface PhoneClock {
  now(): number;
  /** Starts a timer. Returns the function that stops it. */
  after_(ms: number, run: () => void): () => void;
}

export const phoneClock: PhoneClock = {
  now: () => Date.now(),
  after_: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

export interface ServerClock {
  phone_: PhoneClock;
  /** The latest time that the service reported: later ids are not older. */
  seen_: number;
  /** What has to be added to a time of the phone. Unknown until the service has told its time in this run of the app. */
  skew_: number | undefined;
  /** The service's time now. Never earlier than a reported time: the phone's clock may have been set back. */
  now_(): number;
  /** Takes a time that the service reported. `corrects`: it was reported because the phone's was wrong, so earlier times are discarded. */
  observe_(told: number, corrects?: boolean): void;
}

export function serverClock(phone: PhoneClock): ServerClock {
  const clock: ServerClock = {
    phone_: phone,
    seen_: 0,
    skew_: undefined,
    now_: () => Math.max(phone.now() + (clock.skew_ ?? 0), clock.seen_),
    observe_: (told, corrects) => {
      if (!(told > 0)) return;
      clock.seen_ = corrects ? told : Math.max(clock.seen_, told);
      clock.skew_ = told - phone.now();
    },
  };
  return clock;
}
